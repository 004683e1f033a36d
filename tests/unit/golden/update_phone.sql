WITH hit AS (
  UPDATE "ext_phone" AS e
  SET "phonetype" = CASE WHEN t.m0 & 1 <> 0 THEN t.v0 ELSE e."phonetype" END,
      "prefix" = CASE WHEN t.m0 & 2 <> 0 THEN t.v1 ELSE e."prefix" END,
      "description" = CASE WHEN t.m0 & 4 <> 0 THEN t.v3 ELSE e."description" END,
      "start_availabilty" = CASE WHEN t.m0 & 8 <> 0 THEN t.v4 ELSE e."start_availabilty" END,
      "end_availabilty" = CASE WHEN t.m0 & 16 <> 0 THEN t.v5 ELSE e."end_availabilty" END
  FROM unnest($1::text[], $2::text[], $3::int8[], $4::int4[], $5::text[], $6::text[], $7::timestamptz[], $8::timestamptz[])
  WITH ORDINALITY AS t (customer_id, k0, m0, v0, v1, v3, v4, v5, i)
  WHERE e.customer_id = t.customer_id AND e."phonenumber" = t.k0
  RETURNING t.i
), miss AS MATERIALIZED (
  SELECT i, customer_id FROM unnest($1::text[]) WITH ORDINALITY AS c (customer_id, i)
  WHERE i NOT IN (SELECT i FROM hit)
), lost AS (
  SELECT ($9::int4[])[i] AS position_id, ($10::int8[])[i] AS message_offset, customer_id FROM miss
  UNION ALL
  SELECT position_id, message_offset, customer_id FROM unnest($11::int8[], $12::text[], $13::int4[], $14::int8[])
  AS x (i, customer_id, position_id, message_offset) WHERE (i IN (SELECT i FROM miss)) IS TRUE
)
INSERT INTO refusal (position_id, message_offset, code)
SELECT position_id, message_offset,
       CASE WHEN EXISTS (SELECT FROM profile p WHERE p.customer_id = lost.customer_id) THEN 16 ELSE 15 END
FROM lost
RETURNING position_id, message_offset, code;
