-- Up to here there are no more messages: only while this worker is still the owner.
UPDATE position SET next_offset = greatest(next_offset, $2::int8) WHERE id = $1::int4 AND owner = $3::uuid
