WITH t AS MATERIALIZED (
  SELECT * FROM unnest($2::text[], $3::numeric[], $4::float8[], $5::int4[], $6::int8[], $7::uuid[], $8::uuid[], $9::int8[], $10::bool[])
  WITH ORDINALITY AS t (customer_id, k0, k1, position_id, message_offset, id, content, m0, v4, i)
), x AS MATERIALIZED (
  SELECT * FROM unnest($11::int8[], $12::text[], $13::int4[], $14::int8[], $15::uuid[], $16::uuid[])
  AS x (i, customer_id, position_id, message_offset, id, content)
), hit AS (
  UPDATE "ext_pair" AS e
  SET "flag" = CASE WHEN t.m0 & 1 <> 0 THEN t.v4 ELSE e."flag" END
  FROM t WHERE e.customer_id = t.customer_id AND e."second" = t.k0 AND e."first" = t.k1 AND (t.m0) <> 0
  RETURNING t.i, t.position_id, t.id, t.content
), seen AS (
  SELECT t.i, t.position_id, t.id, t.content FROM t JOIN "ext_pair" AS e ON e.customer_id = t.customer_id AND e."second" = t.k0 AND e."first" = t.k1 AND (t.m0) = 0
), found AS MATERIALIZED (
  SELECT * FROM hit UNION ALL SELECT * FROM seen
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
