-- For a look from outside: how far each partition of a topic is; nothing is locked.
SELECT partition, id, next_offset, published_offset
FROM position
WHERE topic = $1::text
ORDER BY partition
