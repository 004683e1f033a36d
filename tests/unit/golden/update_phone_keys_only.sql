WITH hit AS MATERIALIZED (
  SELECT t.i FROM unnest($1::text[], $2::text[])
  WITH ORDINALITY AS t (customer_id, k0, i)
  JOIN "ext_phone" AS e ON e.customer_id = t.customer_id AND e."phonenumber" = t.k0
), miss AS MATERIALIZED (
  SELECT i, customer_id FROM unnest($1::text[]) WITH ORDINALITY AS c (customer_id, i)
  WHERE i NOT IN (SELECT i FROM hit)
), lost AS (
  SELECT ($3::int4[])[i] AS position_id, ($4::int8[])[i] AS message_offset, customer_id FROM miss
  UNION ALL
  SELECT position_id, message_offset, customer_id FROM unnest($5::int8[], $6::text[], $7::int4[], $8::int8[])
  AS x (i, customer_id, position_id, message_offset) WHERE (i IN (SELECT i FROM miss)) IS TRUE
)
INSERT INTO refusal (position_id, message_offset, code)
SELECT position_id, message_offset,
       CASE WHEN EXISTS (SELECT FROM profile p WHERE p.customer_id = lost.customer_id) THEN 16 ELSE 15 END
FROM lost
RETURNING position_id, message_offset, code;
