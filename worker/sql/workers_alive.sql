-- Sessions that hold a slot (slot.sql) of this group, or of one that the topic's positions name.
SELECT count(DISTINCT l.pid)
FROM (SELECT $1::text AS group_id UNION SELECT group_id FROM position WHERE topic = $2::text) g
JOIN pg_locks l ON l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND l.classid = 'installation'::regclass::oid
               AND l.objid::bigint - ((hashtext(g.group_id) % 100000 * 10000)::bigint & 4294967295) BETWEEN 0 AND 9999
