-- The last errors of position $1, from offset $2 on, at most $3: where, what and when, nothing of what was in the command.
SELECT r.message_offset, r.code,
       (SELECT o.processed_at_ms FROM outcome o
        WHERE o.position_id = r.position_id AND o.last_offset >= r.message_offset
        ORDER BY o.last_offset LIMIT 1) AS processed_at_ms
FROM refusal r
WHERE r.position_id = $1::int4 AND r.message_offset >= $2::int8 AND r.code <> 2
ORDER BY r.message_offset DESC
LIMIT $3::int4
