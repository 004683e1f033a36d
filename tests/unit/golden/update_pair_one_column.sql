WITH t AS MATERIALIZED (
  SELECT * FROM unnest($1::text[], $2::numeric[], $3::float8[], $4::int4[], $5::int8[], $6::int8[], $7::bool[])
  WITH ORDINALITY AS t (customer_id, k0, k1, position_id, message_offset, m0, v4, i)
), x AS MATERIALIZED (
  SELECT * FROM unnest($8::int8[], $9::text[], $10::int4[], $11::int8[])
  AS x (i, customer_id, position_id, message_offset)
), hit AS (
  UPDATE "ext_pair" AS e
  SET "flag" = CASE WHEN t.m0 & 1 <> 0 THEN t.v4 ELSE e."flag" END
  FROM t WHERE e.customer_id = t.customer_id AND e."second" = t.k0 AND e."first" = t.k1 AND (t.m0) <> 0
  RETURNING t.i
), seen AS (
  SELECT t.i FROM t JOIN "ext_pair" AS e ON e.customer_id = t.customer_id AND e."second" = t.k0 AND e."first" = t.k1 AND (t.m0) = 0
), found AS MATERIALIZED (
  SELECT * FROM hit UNION ALL SELECT * FROM seen
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
