-- Is it time for a new generation of ids ($1: its length in milliseconds), or to drop an old one ($2: the retention)?
SELECT EXISTS (SELECT FROM state s JOIN id_generation g ON g.generation = s.id_generation
               WHERE g.opened_at < now() - $1::int8 * interval '1 ms')
    OR EXISTS (SELECT FROM id_generation g JOIN id_generation n ON n.generation = g.generation + 1
               WHERE n.opened_at < now() - $2::int8 * interval '1 ms')
