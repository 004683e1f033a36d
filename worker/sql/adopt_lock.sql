-- Before a person's change: a batch under way ends first.
SELECT id FROM position WHERE topic = $1::text AND partition = ANY ($2::int4[]) ORDER BY partition FOR UPDATE
