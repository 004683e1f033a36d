INSERT INTO profile (customer_id) SELECT DISTINCT customer_id FROM pg_temp.loading ORDER BY customer_id ON CONFLICT DO NOTHING;
INSERT INTO "ext_pair" (customer_id, "second", "first")
SELECT customer_id, "second", "first" FROM pg_temp.loading ORDER BY customer_id, "second", "first"
ON CONFLICT (customer_id, "second", "first") DO NOTHING;
