-- At assignment: this worker's token on the rows; rows that are missing begin at the offset given.
INSERT INTO position (topic, partition, next_offset, published_offset, owner, cluster_id, group_id)
SELECT $1::text, x.partition, x.next_offset, x.next_offset, $4::uuid, $5::text, $6::text
FROM unnest($2::int4[], $3::int8[]) AS x (partition, next_offset)
ORDER BY x.partition
ON CONFLICT (topic, partition) DO UPDATE SET owner = excluded.owner
RETURNING partition, id
