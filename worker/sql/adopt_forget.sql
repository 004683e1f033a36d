-- The database forgets partitions: positions, stored answers, ids that took effect. Records stay.
WITH gone AS (
	DELETE FROM position WHERE topic = $1::text AND partition = ANY ($2::int4[]) RETURNING id
), answers AS (
	DELETE FROM outcome USING gone WHERE position_id = gone.id
), errors AS (
	DELETE FROM refusal USING gone WHERE position_id = gone.id
)
SELECT count(*) FROM gone
