-- Runs under the exclusive catalogue lock. A generation is dropped when the one after it was opened more than the
-- retention ago: all its ids are older than that. A DO block takes no parameters: {LENGTH_MS}, {RETENTION_MS} are filled in.
DO $$
DECLARE
	current integer;
	old integer;
BEGIN
	SELECT id_generation INTO current FROM state;
	IF (SELECT opened_at FROM id_generation WHERE generation = current) < now() - {LENGTH_MS} * interval '1 ms' THEN
		current := current + 1;
		EXECUTE format('CREATE TABLE command_id_%s PARTITION OF command_id FOR VALUES IN (%s)', current, current);
		INSERT INTO id_generation (generation, opened_at) VALUES (current, clock_timestamp());
		UPDATE state SET id_generation = current;
	END IF;
	FOR old IN SELECT g.generation FROM id_generation g JOIN id_generation n ON n.generation = g.generation + 1
	           WHERE n.opened_at < now() - {RETENTION_MS} * interval '1 ms' LOOP
		EXECUTE format('DROP TABLE command_id_%s', old);
		DELETE FROM id_generation WHERE generation = old;
	END LOOP;
END
$$
