-- Shared until COMMIT: the catalogue and the current generation of ids stand still while the batch is under way.
SELECT pg_advisory_xact_lock_shared('state'::regclass::oid::int, 0)
