-- Which of these ids took effect before, within their commands partition. i: place in the arrays, from 1.
SELECT x.i, c.content
FROM unnest($1::uuid[], $2::int4[]) WITH ORDINALITY AS x (id, position_id, i)
JOIN command_id c ON c.id = x.id AND c.position_id = x.position_id
