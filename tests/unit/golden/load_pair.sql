CREATE TEMPORARY TABLE loading ON COMMIT DROP AS SELECT 0::int8 AS _line, * FROM "ext_pair" WITH NO DATA;
COPY pg_temp.loading (_line, customer_id, "flag", "first", "second", "must") FROM STDIN;
\.
SELECT min(_line), max(_line) FROM pg_temp.loading GROUP BY customer_id, "second", "first" HAVING count(*) > 1 ORDER BY 2 LIMIT 1;
INSERT INTO profile (customer_id) SELECT DISTINCT customer_id FROM pg_temp.loading ORDER BY customer_id ON CONFLICT DO NOTHING;
INSERT INTO "ext_pair" (customer_id, "flag", "first", "second", "must")
SELECT customer_id, "flag", "first", "second", "must" FROM pg_temp.loading ORDER BY customer_id, "second", "first"
ON CONFLICT (customer_id, "second", "first") DO UPDATE SET "flag" = excluded."flag", "must" = excluded."must";
