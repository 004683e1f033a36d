WITH t AS MATERIALIZED (
  SELECT * FROM unnest($1::text[], $2::text[], $3::int4[], $4::int8[], $5::int8[], $6::int4[], $7::text[], $8::text[], $9::timestamptz[], $10::timestamptz[])
  WITH ORDINALITY AS t (customer_id, k0, position_id, message_offset, m0, v0, v1, v3, v4, v5, i)
), x AS MATERIALIZED (
  SELECT * FROM unnest($11::int8[], $12::text[], $13::int4[], $14::int8[])
  AS x (i, customer_id, position_id, message_offset)
), hit AS (
  UPDATE "ext_phone" AS e
  SET "phonetype" = CASE WHEN t.m0 & 1 <> 0 THEN t.v0 ELSE e."phonetype" END,
      "prefix" = CASE WHEN t.m0 & 2 <> 0 THEN t.v1 ELSE e."prefix" END,
      "description" = CASE WHEN t.m0 & 4 <> 0 THEN t.v3 ELSE e."description" END,
      "start_availabilty" = CASE WHEN t.m0 & 8 <> 0 THEN t.v4 ELSE e."start_availabilty" END,
      "end_availabilty" = CASE WHEN t.m0 & 16 <> 0 THEN t.v5 ELSE e."end_availabilty" END
  FROM t WHERE e.customer_id = t.customer_id AND e."phonenumber" = t.k0 AND (t.m0) <> 0
  RETURNING t.i
), seen AS (
  SELECT t.i FROM t JOIN "ext_phone" AS e ON e.customer_id = t.customer_id AND e."phonenumber" = t.k0 AND (t.m0) = 0
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
