SELECT
  DAY(day) AS day,
  outcome,
  count(*) AS requests,
  SECONDS(avg(total_ms)) AS avg_total_s,
  SECONDS(max(total_ms)) AS max_total_s
FROM $measured
GROUP BY day, outcome
