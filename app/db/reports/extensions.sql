SELECT
  extensions.id AS extension_id,
  CASE WHEN extensions.connected THEN 1 ELSE 0 END AS connected,
  extensions.version,
  extensions.max_concurrent,
  TIME(extensions.connected_at) AS connected_at,
  TIME(extensions.disconnected_at) AS disconnected_at,
  TIME(extensions.observed_since) AS observed_since,
  SECONDS(connected_ms) AS connected_s,
  coalesce(attempts, 0) AS attempts,
  coalesce(completed, 0) AS completed,
  coalesce(rejected, 0) AS rejected,
  coalesce(requeued, 0) AS requeued,
  coalesce(failed, 0) AS failed,
  coalesce(cancelled, 0) AS cancelled,
  coalesce(in_progress, 0) AS in_progress,
  CAST(completed AS FLOAT) / nullif(completed + rejected + requeued + failed, 0) AS reliability,
  SECONDS(coalesce(busy_ms, 0)) AS busy_s,
  CAST(coalesce(observed_ms, 0) AS FLOAT) / nullif(connected_ms * extensions.max_concurrent, 0) AS utilisation
FROM (
  SELECT
    id,
    connected,
    version,
    max_concurrent,
    connected_at,
    disconnected_at,
    observed_since,
    connected_ms + CASE WHEN connected THEN NOW() - connected_at ELSE 0 END AS connected_ms
  FROM extensions
) AS extensions
LEFT JOIN (
  SELECT
    extension_id,
    count(*) AS attempts,
    sum(CASE WHEN outcome = 'completed' THEN 1 ELSE 0 END) AS completed,
    sum(CASE WHEN outcome = 'rejected' THEN 1 ELSE 0 END) AS rejected,
    sum(CASE WHEN outcome = 'requeued' THEN 1 ELSE 0 END) AS requeued,
    sum(CASE WHEN outcome = 'failed' THEN 1 ELSE 0 END) AS failed,
    sum(CASE WHEN outcome = 'cancelled' THEN 1 ELSE 0 END) AS cancelled,
    sum(CASE WHEN outcome IN ('delivered', 'running') THEN 1 ELSE 0 END) AS in_progress,
    sum(busy_ms) AS busy_ms,
    sum(CASE WHEN started_at >= observed_since THEN busy_ms END) AS observed_ms
  FROM (
    SELECT
      extensions.id AS extension_id,
      extensions.observed_since,
      attempts.outcome,
      attempts.started_at,
      coalesce(attempts.ended_at, NOW()) - attempts.started_at AS busy_ms
    FROM $handed_out
    JOIN extensions ON extensions.id = JSON(attempts.handed_out_data, extension_id)
  ) AS attempts
  GROUP BY extension_id
) AS work ON work.extension_id = extensions.id
