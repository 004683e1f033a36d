-- What recall would find out of a batch that is all new, as a condition: the positions $1 are this worker's, each is where
-- it expects it, and the catalogue is the one that the batch was validated against. Else this divides by zero. The rows stay
-- locked until COMMIT, as by fence.sql.
SELECT 1 / ((array_agg(p.next_offset ORDER BY p.id) = (SELECT array_agg(x.next_offset ORDER BY x.id)
                                                       FROM unnest($1::int4[], $2::int8[]) AS x (id, next_offset))
             AND bool_and(p.owner = $3::uuid)
             AND (SELECT catalogue_version FROM state) = $4::int8) IS TRUE)::int
FROM (SELECT id, next_offset, owner FROM position WHERE id = ANY ($1::int4[]) ORDER BY id FOR NO KEY UPDATE) p
