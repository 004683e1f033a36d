-- The messages of these blocks that took no effect.
SELECT r.message_offset
FROM outcome o
JOIN refusal r ON r.position_id = o.position_id AND r.message_offset BETWEEN o.first_offset AND o.last_offset
WHERE o.position_id = $1::int4 AND o.last_offset = ANY ($2::int8[])
ORDER BY r.message_offset
