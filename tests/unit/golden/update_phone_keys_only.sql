WITH t AS MATERIALIZED (
  SELECT * FROM unnest($1::text[], $2::text[], $3::int4[], $4::int8[], $5::int8[])
  WITH ORDINALITY AS t (customer_id, k0, position_id, message_offset, m0, i)
), x AS MATERIALIZED (
  SELECT * FROM unnest($6::int8[], $7::text[], $8::int4[], $9::int8[])
  AS x (i, customer_id, position_id, message_offset)
), seen AS (
  SELECT t.i FROM t JOIN "ext_phone" AS e ON e.customer_id = t.customer_id AND e."phonenumber" = t.k0 AND (t.m0) = 0
), found AS MATERIALIZED (
  SELECT * FROM seen
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
