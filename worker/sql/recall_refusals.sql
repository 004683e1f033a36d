SELECT message_offset, code, attribute, detail
FROM refusal
WHERE position_id = $1::int4 AND message_offset BETWEEN $2::int8 AND $3::int8
ORDER BY message_offset
