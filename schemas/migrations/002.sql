-- Which programs may go on working beside this version, so that workers can be upgraded one by one. A program knows the
-- version that was the newest when it was made: it works with later ones whose oldest_program is no later than that.
ALTER TABLE migration ADD COLUMN oldest_program integer NOT NULL DEFAULT 1;
