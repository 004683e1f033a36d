-- At assignment: a batch that is under way elsewhere is soon over, or it is looked at why not (end_frozen.sql).
SET LOCAL lock_timeout = '5s'
