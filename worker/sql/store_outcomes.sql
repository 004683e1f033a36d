INSERT INTO outcome (position_id, first_offset, last_offset, processed_at_ms, encoding, entries, ids)
SELECT x.position_id, x.first_offset, x.last_offset, $6::int8, $7::int2, x.entries, x.ids
FROM unnest($1::int4[], $2::int8[], $3::int8[], $4::bytea[], $5::bytea[])
     AS x (position_id, first_offset, last_offset, entries, ids)
