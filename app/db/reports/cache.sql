SELECT
  DAY(day) AS day,
  lower(model) AS model,
  count(*) AS requests,
  sum(CASE WHEN cached_from IS NOT NULL AND status = 'completed' THEN 1 ELSE 0 END) AS hits,
  sum(CASE WHEN cached_from IS NULL AND status = 'completed' THEN 1 ELSE 0 END) AS misses,
  SECONDS(avg(CASE WHEN cached_from IS NOT NULL AND status = 'completed' THEN total_ms END)) AS avg_hit_s,
  SECONDS(avg(CASE WHEN cached_from IS NULL AND status = 'completed' THEN total_ms END)) AS avg_miss_s
FROM $measured
WHERE cache IS NOT NULL
GROUP BY day, lower(model)
