-- Messages that repeat an id of the same batch, with the same content: the first one's error, or a duplicate (2).
INSERT INTO refusal (position_id, message_offset, code, attribute, detail)
SELECT x.position_id, x.message_offset, coalesce(r.code, 2), r.attribute, r.detail
FROM unnest($1::int4[], $2::int8[], $3::int8[]) AS x (position_id, message_offset, first_offset)
LEFT JOIN refusal r ON r.position_id = x.position_id AND r.message_offset = x.first_offset
