WITH hit AS (
  UPDATE "ext_pair" AS e
  SET "flag" = CASE WHEN t.m0 & 1 <> 0 THEN t.v4 ELSE e."flag" END
  FROM unnest($1::text[], $2::numeric[], $3::float8[], $4::int8[], $5::bool[])
  WITH ORDINALITY AS t (customer_id, k0, k1, m0, v4, i)
  WHERE e.customer_id = t.customer_id AND e."second" = t.k0 AND e."first" = t.k1
  RETURNING t.i
), miss AS MATERIALIZED (
  SELECT i, customer_id FROM unnest($1::text[]) WITH ORDINALITY AS c (customer_id, i)
  WHERE i NOT IN (SELECT i FROM hit)
), lost AS (
  SELECT ($6::int4[])[i] AS position_id, ($7::int8[])[i] AS message_offset, customer_id FROM miss
  UNION ALL
  SELECT position_id, message_offset, customer_id FROM unnest($8::int8[], $9::text[], $10::int4[], $11::int8[])
  AS x (i, customer_id, position_id, message_offset) WHERE (i IN (SELECT i FROM miss)) IS TRUE
)
INSERT INTO refusal (position_id, message_offset, code)
SELECT position_id, message_offset,
       CASE WHEN EXISTS (SELECT FROM profile p WHERE p.customer_id = lost.customer_id) THEN 16 ELSE 15 END
FROM lost
RETURNING position_id, message_offset, code;
