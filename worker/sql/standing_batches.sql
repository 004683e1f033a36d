-- Batches of position $1 that end before offset $2, newest first, at most $3 of them. An entry takes 5 bytes, or a little
-- more where offsets are missing between messages; its length is known without reading it.
SELECT first_offset, last_offset, processed_at_ms,
       least(octet_length(entries) / 5, last_offset - first_offset + 1) AS messages
FROM outcome
WHERE position_id = $1::int4 AND last_offset < $2::int8
ORDER BY last_offset DESC
LIMIT $3::int4
