-- What the two roles may do that byunique.worker and byunique.reader name (SET, or set_config(), by who runs this). Can be
-- repeated; what was granted beside it stays. Tables of extensions that the same owner makes later come with their rights.
DO $$
DECLARE
	home   text := quote_ident(current_schema());
	worker text := quote_ident(current_setting('byunique.worker'));
	reader text := quote_ident(current_setting('byunique.reader'));
	records text;
BEGIN
	EXECUTE format('GRANT USAGE ON SCHEMA %s TO %s, %s', home, worker, reader);
	-- The catalogue, which nobody but the owner changes.
	EXECUTE format('GRANT SELECT ON migration, installation, extension, attribute, state TO %s, %s', worker, reader);
	-- Where the work stands. Of answers none is ever changed; they are deleted when their retention is over.
	EXECUTE format('GRANT SELECT ON position, outcome, refusal TO %s', reader);
	EXECUTE format('GRANT SELECT, INSERT, UPDATE ON position TO %s', worker);
	EXECUTE format('GRANT SELECT, INSERT, DELETE ON outcome, refusal TO %s', worker);
	-- Customers and their records: a worker never inserts or deletes one, and a reader needs none.
	EXECUTE format('GRANT SELECT ON profile TO %s', worker);
	FOR records IN
		SELECT c.relname FROM extension e JOIN pg_class c ON c.relname = 'ext_' || lower(e.name)
		WHERE c.relnamespace = current_schema()::regnamespace
	LOOP
		EXECUTE format('GRANT SELECT, UPDATE ON %I TO %s', records, worker);
	END LOOP;
	EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %s GRANT SELECT, UPDATE ON TABLES TO %s', home, worker);
END $$
