-- At assignment: what is known of these partitions; locked, so that a claim under way elsewhere ends first.
SELECT partition, id, next_offset, coalesce(last_offset, -1), coalesce(last_hash, 0), published_offset, cluster_id, group_id
FROM position
WHERE topic = $1::text AND partition = ANY ($2::int4[])
ORDER BY partition
FOR NO KEY UPDATE
