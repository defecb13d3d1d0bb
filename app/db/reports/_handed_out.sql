(
  SELECT
    handed_out.job_id,
    handed_out.data AS handed_out_data,
    ended.data AS ended_data,
    handed_out.at AS started_at,
    ended.at AS ended_at,
    CASE ended.type
      WHEN 'ImageDownloadStartedEvent' THEN CASE stored.type
        WHEN 'ImageGeneratedEvent' THEN 'completed'
        WHEN 'ImageGenerationCancelledEvent' THEN 'cancelled'
        WHEN 'ImageGenerationRequeuedEvent' THEN 'rejected'
        WHEN 'ImageGenerationFailedEvent' THEN 'rejected'
        ELSE 'delivered'
      END
      WHEN 'ImageGenerationRequeuedEvent' THEN 'requeued'
      WHEN 'ImageGenerationFailedEvent' THEN 'failed'
      WHEN 'ImageGenerationCancelledEvent' THEN 'cancelled'
      ELSE 'running'
    END AS outcome,
    CASE
      WHEN ended.type = 'ImageDownloadStartedEvent' THEN JSON(stored.data, code)
      ELSE JSON(ended.data, code)
    END AS code
  FROM events AS handed_out
  LEFT JOIN events AS ended ON ended.job_id = handed_out.job_id AND ended.seq = handed_out.seq + 1
  LEFT JOIN events AS stored
    ON stored.job_id = handed_out.job_id
    AND stored.seq = handed_out.seq + 2
    AND ended.type = 'ImageDownloadStartedEvent'
  WHERE handed_out.type = 'ImageGenerationAssignedEvent' AND PERIOD(handed_out.at)
) AS attempts
