-- What the session's role may do that no worker needs. Of a superuser it is enough to say that it is one. Roles that it
-- could change to count as well.
SELECT r.what
FROM pg_roles me
CROSS JOIN pg_namespace home
CROSS JOIN pg_database db
CROSS JOIN LATERAL (VALUES
	(1, me.rolsuper, 'it is a superuser'),
	(2, me.rolcreaterole, 'it may create roles'),
	(3, me.rolcreatedb, 'it may create databases'),
	(4, me.rolreplication, 'it may replicate'),
	(5, me.rolbypassrls, 'it bypasses row-level security'),
	(6, pg_has_role(db.datdba, 'MEMBER'), 'it owns the database'),
	(7, has_database_privilege(db.oid, 'CREATE'), 'it may create schemas'),
	(8, pg_has_role(home.nspowner, 'MEMBER'), 'it owns the schema'),
	(9, EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = home.oid AND pg_has_role(c.relowner, 'MEMBER')),
	 'it owns tables of the schema'),
	(10, has_schema_privilege(home.oid, 'CREATE'), 'it may create objects in the schema'),
	(11, EXISTS (SELECT FROM unnest('{migration,installation,extension,attribute,state,profile}'::text[]) AS name
	             WHERE has_table_privilege(name, 'INSERT, UPDATE, DELETE, TRUNCATE')),
	 'it may change the catalogue or profiles'),
	(12, EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = home.oid AND c.relkind = 'r' AND c.relname LIKE 'ext\_%'
	             AND has_table_privilege(c.oid, 'INSERT, DELETE, TRUNCATE')),
	 'it may insert or delete records'),
	(13, has_table_privilege('position', 'DELETE, TRUNCATE') OR has_table_privilege('outcome', 'UPDATE, TRUNCATE') OR
	     has_table_privilege('refusal', 'UPDATE, TRUNCATE'), 'it may change or drop what was answered'),
	(14, EXISTS (SELECT FROM pg_roles p WHERE p.rolname IN ('pg_read_all_data', 'pg_write_all_data',
	             'pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program', 'pg_signal_backend')
	             AND pg_has_role(p.oid, 'MEMBER')), 'it has one of PostgreSQL''s predefined roles')
	) AS r (number, is_so, what)
WHERE me.rolname = current_user AND home.nspname = current_schema() AND db.datname = current_database()
  AND r.is_so AND (r.number = 1 OR NOT me.rolsuper)
ORDER BY r.number
