WITH t AS MATERIALIZED (
  SELECT * FROM unnest($2::text[], $3::text[], $4::int4[], $5::int8[], $6::uuid[], $7::uuid[], $8::int8[], $9::int4[], $10::text[], $11::text[], $12::timestamptz[], $13::timestamptz[])
  WITH ORDINALITY AS t (customer_id, k0, position_id, message_offset, id, content, m0, v0, v1, v3, v4, v5, i)
), x AS MATERIALIZED (
  SELECT * FROM unnest($14::int8[], $15::text[], $16::int4[], $17::int8[], $18::uuid[], $19::uuid[])
  AS x (i, customer_id, position_id, message_offset, id, content)
), hit AS (
  UPDATE "ext_phone" AS e
  SET "phonetype" = CASE WHEN t.m0 & 1 <> 0 THEN t.v0 ELSE e."phonetype" END,
      "prefix" = CASE WHEN t.m0 & 2 <> 0 THEN t.v1 ELSE e."prefix" END,
      "description" = CASE WHEN t.m0 & 4 <> 0 THEN t.v3 ELSE e."description" END,
      "start_availabilty" = CASE WHEN t.m0 & 8 <> 0 THEN t.v4 ELSE e."start_availabilty" END,
      "end_availabilty" = CASE WHEN t.m0 & 16 <> 0 THEN t.v5 ELSE e."end_availabilty" END
  FROM t WHERE e.customer_id = t.customer_id AND e."phonenumber" = t.k0 AND (t.m0) <> 0
  RETURNING t.i, t.position_id, t.id, t.content
), seen AS (
  SELECT t.i, t.position_id, t.id, t.content FROM t JOIN "ext_phone" AS e ON e.customer_id = t.customer_id AND e."phonenumber" = t.k0 AND (t.m0) = 0
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
