SELECT
  user_id,
  TIME(min(created_at)) AS first_request_at,
  TIME(max(created_at)) AS last_request_at,
  $figures
FROM $measured
GROUP BY user_id
