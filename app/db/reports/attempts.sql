SELECT
  job_id AS request_id,
  CAST(JSON(handed_out_data, attempt) AS INTEGER) AS attempt,
  JSON(handed_out_data, extension_id) AS extension_id,
  outcome,
  code,
  TIME(started_at) AS started_at,
  TIME(ended_at) AS ended_at,
  SECONDS(ended_at - started_at) AS busy_s
FROM $handed_out
