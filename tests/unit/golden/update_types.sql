WITH t AS MATERIALIZED (
  SELECT * FROM unnest($1::text[], $2::text[], $3::date[], $4::int4[], $5::int8[], $6::int8[], $7::text[], $8::int4[], $9::int8[], $10::float8[], $11::timestamptz[], $12::numeric[], $13::bool[])
  WITH ORDINALITY AS t (customer_id, k0, k1, position_id, message_offset, m0, v1, v2, v3, v4, v6, v7, v8, i)
), x AS MATERIALIZED (
  SELECT * FROM unnest($14::int8[], $15::text[], $16::int4[], $17::int8[])
  AS x (i, customer_id, position_id, message_offset)
), hit AS (
  UPDATE "ext_types" AS e
  SET "txt" = CASE WHEN t.m0 & 1 <> 0 THEN t.v1 ELSE e."txt" END,
      "int" = CASE WHEN t.m0 & 2 <> 0 THEN t.v2 ELSE e."int" END,
      "lng" = CASE WHEN t.m0 & 4 <> 0 THEN t.v3 ELSE e."lng" END,
      "dbl" = CASE WHEN t.m0 & 8 <> 0 THEN t.v4 ELSE e."dbl" END,
      "moment" = CASE WHEN t.m0 & 16 <> 0 THEN t.v6 ELSE e."moment" END,
      "money" = CASE WHEN t.m0 & 32 <> 0 THEN t.v7 ELSE e."money" END,
      "user" = CASE WHEN t.m0 & 64 <> 0 THEN t.v8 ELSE e."user" END
  FROM t WHERE e.customer_id = t.customer_id AND e."select" = t.k0 AND e."day" = t.k1 AND (t.m0) <> 0
  RETURNING t.i
), seen AS (
  SELECT t.i FROM t JOIN "ext_types" AS e ON e.customer_id = t.customer_id AND e."select" = t.k0 AND e."day" = t.k1 AND (t.m0) = 0
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
