-- A further session of a worker, beside the one that holds its slot: end_frozen.sql knows it by this lock.
SELECT pg_advisory_lock_shared('position'::regclass::oid::int, 0)
