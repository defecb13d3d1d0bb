SELECT
  lower(model) AS model,
  CASE operation WHEN '' THEN 'create' ELSE substr(operation, 2) END AS operation,
  $figures
FROM $measured
GROUP BY lower(model), operation
