SELECT
  DAY(day) AS day,
  user_id,
  $figures
FROM $measured
GROUP BY day, user_id
