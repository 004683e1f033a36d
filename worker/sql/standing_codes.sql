-- How many messages of position $1, from offset $2 on, were answered with each code other than a simple 204.
SELECT code, count(*)
FROM refusal
WHERE position_id = $1::int4 AND message_offset >= $2::int8
GROUP BY code
