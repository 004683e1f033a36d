-- Sessions of workers (they hold a slot, or belong to one that does) with a row of these partitions locked, whose client has sent or taken nothing for
-- three seconds in the middle of a transaction. Such a worker is frozen, or its network is. Who was given its partitions has
-- to wait for ever where half a trip was written, as no time limit of PostgreSQL counts then. Only sessions of one's own role.
WITH frozen AS MATERIALIZED (
	SELECT DISTINCT a.pid
	FROM position p
	JOIN pg_locks x ON x.locktype = 'transactionid' AND x.transactionid = p.xmax AND x.granted
	JOIN pg_locks slot ON slot.pid = x.pid AND slot.locktype = 'advisory' AND slot.objsubid = 2 AND slot.granted
	                  AND slot.classid IN ('installation'::regclass::oid, 'position'::regclass::oid)
	JOIN pg_stat_activity a ON a.pid = x.pid
	WHERE p.topic = $1::text AND p.partition = ANY ($2::int4[])
	  AND a.usename = current_user AND a.wait_event_type = 'Client'
	  AND a.state_change < clock_timestamp() - interval '3 seconds'
)
SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM frozen
