SELECT
  DAY(day) AS day,
  model,
  count(*) AS requests,
  SECONDS(min(CASE WHEN share >= 0.5 THEN total_ms END)) AS p50_s,
  SECONDS(min(CASE WHEN share >= 0.9 THEN total_ms END)) AS p90_s,
  SECONDS(min(CASE WHEN share >= 0.99 THEN total_ms END)) AS p99_s,
  SECONDS(max(total_ms)) AS max_s
FROM (
  -- the share of requests that took at most as long: the least time with a share of 0.9 is the 90th percentile by nearest rank
  SELECT
    day,
    lower(model) AS model,
    total_ms,
    cume_dist() OVER (PARTITION BY day, lower(model) ORDER BY total_ms) AS share
  FROM $measured
  WHERE status = 'completed'
) AS ranked
GROUP BY day, model
