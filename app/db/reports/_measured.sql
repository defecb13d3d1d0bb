(
  SELECT
    jobs.*,
    created_at / 86400000 AS day,
    created_at / 3600000 AS hour,
    CASE
      WHEN status = 'completed' AND cached_from IS NOT NULL THEN 'cached'
      WHEN status IN ('accepted', 'processing', 'downloading') THEN 'open'
      ELSE status
    END AS outcome,
    -- started_at is that of the last attempt; nothing is logged between a request and its first hand-off
    CASE
      WHEN attempt > 1 THEN coalesce(
        (SELECT at FROM events WHERE job_id = jobs.id AND seq = 2 AND type = 'ImageGenerationAssignedEvent'), started_at
      )
      ELSE started_at
    END - created_at AS waiting_ms,
    CASE WHEN cached_from IS NULL THEN generated_at - started_at END AS generating_ms,
    CASE WHEN cached_from IS NULL THEN finished_at - generated_at END AS downloading_ms,
    finished_at - created_at AS total_ms
  FROM jobs
  WHERE PERIOD(created_at)
) AS measured
