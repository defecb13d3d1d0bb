SELECT
  TIME(hour * 3600000) AS hour,
  hour - hour / 24 * 24 AS hour_of_day,
  $figures
FROM $measured
GROUP BY hour
