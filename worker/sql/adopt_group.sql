-- The group has another name ($3).
UPDATE position SET group_id = $3::text, owner = gen_random_uuid()
WHERE topic = $1::text AND partition = ANY ($2::int4[])
