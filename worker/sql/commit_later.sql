-- In a part of a batch: the COMMIT of the last part makes all of them durable, and nothing is published before that.
SET LOCAL synchronous_commit = off
