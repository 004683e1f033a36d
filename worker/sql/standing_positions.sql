-- How far each partition of topic $1 is. Reads only, waits for nobody.
SELECT partition, id, next_offset, published_offset, cluster_id, group_id
FROM position
WHERE topic = $1::text
ORDER BY partition
