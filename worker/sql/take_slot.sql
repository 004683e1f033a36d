-- The same number again after a reconnect; false when somebody else has it by now.
SELECT pg_try_advisory_lock('installation'::regclass::oid::int, hashtext($1::text) % 100000 * 10000 + $2::int4)
