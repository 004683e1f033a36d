-- The batches that cover offsets $2 to $3 of position $1. Ranges of a position do not overlap.
SELECT first_offset, last_offset, processed_at_ms, encoding, entries
FROM outcome
WHERE position_id = $1::int4
  AND last_offset >= $2::int8
  AND last_offset <= coalesce((SELECT min(o.last_offset) FROM outcome o
                               WHERE o.position_id = $1::int4 AND o.last_offset >= $3::int8), 9223372036854775807)
ORDER BY last_offset
