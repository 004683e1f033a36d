INSERT INTO refusal (position_id, message_offset, code, attribute, detail)
SELECT * FROM unnest($1::int4[], $2::int8[], $3::int2[], $4::text[], $5::text[])
