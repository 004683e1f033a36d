-- For a look from outside: how far each partition of a topic is; nothing is locked.
SELECT partition, id, next_offset, published_offset, coalesce(last_offset, -1), coalesce(last_hash, 0), cluster_id, group_id
FROM position
WHERE topic = $1::text
ORDER BY partition
