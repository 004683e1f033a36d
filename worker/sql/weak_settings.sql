-- Settings of this server and this session under which a COMMIT may be lost, and what that means.
SELECT name, setting, CASE name
	WHEN 'fsync' THEN 'a crash of its machine may damage the database'
	WHEN 'full_page_writes' THEN 'a crash of its machine may damage the database'
	WHEN 'synchronous_commit' THEN 'a crash may lose commits whose results are published: they are applied and published again'
	END AS consequence
FROM pg_settings
WHERE (name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND setting = 'off')
	OR (name = 'synchronous_commit' AND setting = 'local' AND current_setting('synchronous_standby_names') <> '')
ORDER BY name
