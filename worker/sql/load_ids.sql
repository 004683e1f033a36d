-- Blocks of ids of position $1 between offsets $2 and $3 that were stored at or after $4, the oldest first.
SELECT last_offset, ids
FROM outcome
WHERE position_id = $1::int4 AND last_offset >= $2::int8 AND last_offset < $3::int8 AND processed_at_ms >= $4::int8
ORDER BY last_offset
LIMIT 500
