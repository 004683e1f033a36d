-- The same topic, with its offsets, on another cluster ($3). The new owner keeps out a worker that was overlooked.
UPDATE position SET cluster_id = $3::text, owner = gen_random_uuid()
WHERE topic = $1::text AND partition = ANY ($2::int4[])
