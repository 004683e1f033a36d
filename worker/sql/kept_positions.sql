-- After a reconnect: where these partitions stand, and whose they are. Without a lock, as every batch looks again.
SELECT id, next_offset, owner
FROM position
WHERE id = ANY ($1::int4[])
