WITH hit AS (
  UPDATE "ext_types" AS e
  SET "txt" = CASE WHEN t.m0 & 1 <> 0 THEN t.v1 ELSE e."txt" END,
      "int" = CASE WHEN t.m0 & 2 <> 0 THEN t.v2 ELSE e."int" END,
      "lng" = CASE WHEN t.m0 & 4 <> 0 THEN t.v3 ELSE e."lng" END,
      "dbl" = CASE WHEN t.m0 & 8 <> 0 THEN t.v4 ELSE e."dbl" END,
      "moment" = CASE WHEN t.m0 & 16 <> 0 THEN t.v6 ELSE e."moment" END,
      "money" = CASE WHEN t.m0 & 32 <> 0 THEN t.v7 ELSE e."money" END,
      "user" = CASE WHEN t.m0 & 64 <> 0 THEN t.v8 ELSE e."user" END
  FROM unnest($1::text[], $2::text[], $3::date[], $4::int8[], $5::text[], $6::int4[], $7::int8[], $8::float8[], $9::timestamptz[], $10::numeric[], $11::bool[])
  WITH ORDINALITY AS t (customer_id, k0, k1, m0, v1, v2, v3, v4, v6, v7, v8, i)
  WHERE e.customer_id = t.customer_id AND e."select" = t.k0 AND e."day" = t.k1
  RETURNING t.i
), miss AS MATERIALIZED (
  SELECT i, customer_id FROM unnest($1::text[]) WITH ORDINALITY AS c (customer_id, i)
  WHERE i NOT IN (SELECT i FROM hit)
), lost AS (
  SELECT ($12::int4[])[i] AS position_id, ($13::int8[])[i] AS message_offset, customer_id FROM miss
  UNION ALL
  SELECT position_id, message_offset, customer_id FROM unnest($14::int8[], $15::text[], $16::int4[], $17::int8[])
  AS x (i, customer_id, position_id, message_offset) WHERE (i IN (SELECT i FROM miss)) IS TRUE
)
INSERT INTO refusal (position_id, message_offset, code)
SELECT position_id, message_offset,
       CASE WHEN EXISTS (SELECT FROM profile p WHERE p.customer_id = lost.customer_id) THEN 16 ELSE 15 END
FROM lost
RETURNING position_id, message_offset, code;
