SELECT
  user_id,
  CAST(sum(pictures) AS BIGINT) AS pictures,
  CAST(sum(picture_bytes) AS BIGINT) AS picture_bytes,
  CAST(sum(removed_pictures) AS BIGINT) AS removed_pictures,
  CAST(sum(input_pictures) AS BIGINT) AS input_pictures,
  CAST(sum(input_bytes) AS BIGINT) AS input_bytes,
  CAST(sum(picture_bytes) + sum(input_bytes) AS BIGINT) AS total_bytes
FROM (
  SELECT
    user_id,
    sum(CASE WHEN pictures_removed_at IS NULL THEN 1 ELSE 0 END) AS pictures,
    sum(CASE WHEN pictures_removed_at IS NULL THEN bytes ELSE 0 END) AS picture_bytes,
    sum(CASE WHEN pictures_removed_at IS NULL THEN 0 ELSE 1 END) AS removed_pictures,
    0 AS input_pictures,
    0 AS input_bytes
  FROM images
  JOIN jobs ON jobs.id = images.job_id
  WHERE PERIOD(images.created_at)
  GROUP BY user_id
  UNION ALL
  SELECT user_id, 0, 0, 0, count(*), sum(bytes)
  FROM inputs
  WHERE PERIOD(created_at)
  GROUP BY user_id
) AS stored
GROUP BY user_id
