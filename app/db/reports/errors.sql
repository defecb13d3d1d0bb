SELECT
  DAY(day) AS day,
  lower(model) AS model,
  error_code,
  stage,
  count(*) AS requests,
  count(DISTINCT user_id) AS users,
  SECONDS(avg(total_ms)) AS avg_total_s,
  max(error) AS example
FROM (
  SELECT
    measured.*,
    CASE
      WHEN generated_at IS NOT NULL THEN 'downloading'
      WHEN started_at IS NOT NULL THEN 'generating'
      ELSE 'waiting'
    END AS stage
  FROM $measured
  WHERE status = 'failed'
) AS failed
GROUP BY day, lower(model), error_code, stage
