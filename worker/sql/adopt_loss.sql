-- What lies before $3, for each partition, is given up: it was not processed, or its result was not published.
UPDATE position p
SET next_offset = greatest(p.next_offset, x.log_start), published_offset = greatest(p.published_offset, x.log_start),
    last_offset = CASE WHEN p.next_offset >= x.log_start THEN p.last_offset END,
    last_hash = CASE WHEN p.next_offset >= x.log_start THEN p.last_hash END, owner = gen_random_uuid()
FROM unnest($2::int4[], $3::int8[]) AS x (partition, log_start)
WHERE p.topic = $1::text AND p.partition = x.partition
