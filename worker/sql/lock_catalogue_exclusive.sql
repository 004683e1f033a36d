-- Waits for the batches under way, keeps new ones waiting until COMMIT.
SELECT pg_advisory_xact_lock('state'::regclass::oid::int, 0)
