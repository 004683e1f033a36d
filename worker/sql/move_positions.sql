UPDATE position p
SET next_offset = x.next_offset, last_offset = x.last_offset, last_hash = x.last_hash,
    published_offset = greatest(p.published_offset, x.published_offset)
FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::int8[], $5::int8[])
     AS x (id, next_offset, last_offset, last_hash, published_offset)
WHERE p.id = x.id
