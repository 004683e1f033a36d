-- The lowest number that no live worker of this database and group holds; kept as long as the session lives.
SELECT slot
FROM generate_series(0, 9999) AS slot
WHERE pg_try_advisory_lock('installation'::regclass::oid::int, hashtext($1::text) % 100000 * 10000 + slot)
LIMIT 1
