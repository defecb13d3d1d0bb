SELECT
  style,
  $figures
FROM $measured
WHERE style IS NOT NULL
GROUP BY style
