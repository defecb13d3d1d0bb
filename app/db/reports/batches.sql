SELECT
  id AS batch_id,
  user_id,
  name,
  status,
  concurrency,
  total AS items,
  completed,
  failed,
  cancelled,
  total - completed - failed - cancelled AS open,
  TIME(created_at) AS created_at,
  TIME(started_at) AS started_at,
  TIME(finished_at) AS finished_at,
  SECONDS(started_at - created_at) AS waiting_s,
  SECONDS(finished_at - created_at) AS total_s
FROM batches
WHERE PERIOD(created_at)
