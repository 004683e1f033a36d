-- What recall would find out of a batch that is all new, as a condition: the positions $1 are this worker's, each is where
-- it expects it, and the catalogue is the one that the batch was validated against. Else this divides by zero. The rows stay
-- locked until COMMIT, as by fence.sql.
SELECT 1 / (count(*) = cardinality($1::int4[]) AND (SELECT catalogue_version FROM state) = $4::int8)::int
FROM (SELECT id, next_offset, owner FROM position WHERE id = ANY ($1::int4[]) ORDER BY id FOR NO KEY UPDATE) p
JOIN unnest($1::int4[], $2::int8[]) AS x (id, next_offset) ON x.id = p.id
WHERE p.next_offset = x.next_offset AND p.owner = $3::uuid
