-- Blocks of ids that may hold some of the batch's, by their last offsets.
SELECT last_offset, first_offset, processed_at_ms, ids
FROM outcome
WHERE position_id = $1::int4 AND last_offset = ANY ($2::int8[])
ORDER BY last_offset
