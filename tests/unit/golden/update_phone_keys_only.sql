WITH t AS MATERIALIZED (
  SELECT * FROM unnest($2::text[], $3::text[], $4::int4[], $5::int8[], $6::uuid[], $7::uuid[], $8::int8[])
  WITH ORDINALITY AS t (customer_id, k0, position_id, message_offset, id, content, m0, i)
), x AS MATERIALIZED (
  SELECT * FROM unnest($9::int8[], $10::text[], $11::int4[], $12::int8[], $13::uuid[], $14::uuid[])
  AS x (i, customer_id, position_id, message_offset, id, content)
), seen AS (
  SELECT t.i, t.position_id, t.id, t.content FROM t JOIN "ext_phone" AS e ON e.customer_id = t.customer_id AND e."phonenumber" = t.k0 AND (t.m0) = 0
), found AS MATERIALIZED (
  SELECT * FROM seen
), ids AS (
  INSERT INTO command_id (position_id, generation, id, content)
  SELECT position_id, $1::int4, id, content FROM found
  UNION ALL
  SELECT position_id, $1::int4, id, content FROM x WHERE (i IN (SELECT i FROM found)) IS TRUE
), miss AS (
  SELECT position_id, message_offset, customer_id FROM t WHERE i NOT IN (SELECT i FROM found)
  UNION ALL
  SELECT position_id, message_offset, customer_id FROM x WHERE i NOT IN (SELECT i FROM found)
)
INSERT INTO refusal (position_id, message_offset, code)
SELECT position_id, message_offset,
       CASE WHEN EXISTS (SELECT FROM profile p WHERE p.customer_id = miss.customer_id) THEN 16 ELSE 15 END
FROM miss
RETURNING position_id, message_offset, code;
