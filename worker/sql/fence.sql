-- The rows stay locked until COMMIT; the worker compares owner and next_offset with what it stored last.
SELECT id, next_offset, owner
FROM position
WHERE id = ANY ($1::int4[])
ORDER BY id
FOR NO KEY UPDATE
