-- Between batches: only while this worker is still the owner.
UPDATE position p
SET published_offset = greatest(p.published_offset, x.published_offset)
FROM unnest($1::int4[], $2::int8[]) AS x (id, published_offset)
WHERE p.id = x.id AND p.owner = $3::uuid
