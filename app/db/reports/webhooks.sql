SELECT
  webhook_endpoints.id AS webhook_id,
  webhook_endpoints.user_id,
  webhook_endpoints.host,
  CASE WHEN webhook_endpoints.scope = '' THEN 'user' ELSE 'request or batch' END AS scope,
  CASE WHEN webhook_endpoints.enabled THEN 1 ELSE 0 END AS enabled,
  TIME(webhook_endpoints.failing_since) AS failing_since,
  coalesce(deliveries, 0) AS deliveries,
  coalesce(delivered, 0) AS delivered,
  coalesce(failed, 0) AS failed,
  coalesce(pending, 0) AS pending,
  coalesce(replaced, 0) AS replaced,
  coalesce(attempts, 0) AS attempts,
  SECONDS(avg_duration_ms) AS avg_duration_s,
  SECONDS(avg_delay_ms) AS avg_delay_s,
  TIME(last_delivered_at) AS last_delivered_at
FROM webhook_endpoints
LEFT JOIN (
  SELECT
    endpoint_id,
    count(*) AS deliveries,
    sum(CASE WHEN status = 'delivered' THEN 1 ELSE 0 END) AS delivered,
    sum(CASE WHEN status = 'failed' THEN 1 ELSE 0 END) AS failed,
    sum(CASE WHEN status = 'pending' THEN 1 ELSE 0 END) AS pending,
    sum(CASE WHEN status = 'replaced' THEN 1 ELSE 0 END) AS replaced,
    sum(attempts) AS attempts,
    avg(duration_ms) AS avg_duration_ms,
    avg(CASE WHEN status = 'delivered' THEN finished_at - occurred_at END) AS avg_delay_ms,
    max(CASE WHEN status = 'delivered' THEN finished_at END) AS last_delivered_at
  FROM webhook_deliveries
  WHERE PERIOD(occurred_at)
  GROUP BY endpoint_id
) AS sent ON sent.endpoint_id = webhook_endpoints.id
