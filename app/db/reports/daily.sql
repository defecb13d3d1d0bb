SELECT
  DAY(day) AS day,
  $figures
FROM $measured
GROUP BY day
