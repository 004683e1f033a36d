-- A bounded number of batches of each position at a time, the oldest first: published, and older than the retention.
WITH old AS MATERIALIZED (
	SELECT p.id AS position_id, o.first_offset, o.last_offset
	FROM unnest($1::int4[]) AS x (id)
	JOIN position p ON p.id = x.id
	CROSS JOIN LATERAL (SELECT * FROM outcome o WHERE o.position_id = p.id ORDER BY o.last_offset LIMIT 1000) o
	WHERE o.processed_at_ms < $2::int8 AND o.last_offset < p.published_offset
), refusals AS (
	DELETE FROM refusal r USING old
	WHERE r.position_id = old.position_id AND r.message_offset BETWEEN old.first_offset AND old.last_offset
)
DELETE FROM outcome o USING old
WHERE o.position_id = old.position_id AND o.last_offset = old.last_offset
RETURNING o.position_id, o.last_offset
