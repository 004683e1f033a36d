-- Everything stands in one PostgreSQL schema; the search_path names it, so that psql can run this file as well:
--   CREATE SCHEMA byunique; SET search_path = byunique; \i 001.sql

CREATE TABLE installation (
	only_one    boolean     PRIMARY KEY DEFAULT true CHECK (only_one),
	id          uuid        NOT NULL DEFAULT gen_random_uuid(), -- tells the transactional ids of two databases apart
	created_at  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO installation DEFAULT VALUES;

-- The catalogue: which extensions there are.

CREATE TABLE extension (
	id    integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name  text    NOT NULL,
	type  text    NOT NULL CHECK (type IN ('multi-valued', 'single-valued', 'classifier'))
);
CREATE UNIQUE INDEX extension_name ON extension (lower(name));

CREATE TABLE attribute (
	extension_id   integer NOT NULL REFERENCES extension ON DELETE CASCADE,
	ordinal        integer NOT NULL,              -- order in the schema, from 0
	name           text    NOT NULL,
	type           text    NOT NULL,
	length         integer,                       -- code points; null: no limit
	mandatory      boolean NOT NULL,
	default_value  text,
	unique_ordinal integer,                       -- place in the unique key, from 0; null: not part of it
	PRIMARY KEY (extension_id, ordinal)
);
CREATE UNIQUE INDEX attribute_name ON attribute (extension_id, lower(name));

-- One row. Changed only under the exclusive advisory lock that every batch holds in shared mode until its COMMIT, so
-- what a batch's transaction reads here stays true until it ends.
CREATE TABLE state (
	only_one           boolean PRIMARY KEY DEFAULT true CHECK (only_one),
	catalogue_version  bigint  NOT NULL DEFAULT 1
);
INSERT INTO state DEFAULT VALUES;

CREATE TABLE profile (
	customer_id  varchar(16) COLLATE "C" PRIMARY KEY,
	created_at   timestamptz NOT NULL DEFAULT now()
);

-- How far each partition of a commands topic has been processed. The row is the fence: a batch's transaction locks it
-- and goes on only when owner and next_offset are what this worker stored last.
CREATE TABLE position (
	topic             text    NOT NULL,
	partition         integer NOT NULL,
	id                integer GENERATED ALWAYS AS IDENTITY UNIQUE, -- short name for the rows below
	next_offset       bigint  NOT NULL,
	last_offset       bigint,           -- of the last message processed
	last_hash         bigint,           -- its hash: tells a topic that was deleted and recreated
	published_offset  bigint  NOT NULL, -- results below are known to be published; may lag behind
	owner             uuid    NOT NULL, -- random, new at each assignment
	cluster_id        text    NOT NULL,
	group_id          text    NOT NULL,
	PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);

-- What was answered, so that the very same result can be published again, and which command ids took effect: one row for
-- each batch and partition. Ids stand in blocks, as a row for each would cost more than half of what its update costs; the
-- owner of a partition keeps an index of them in memory. An id whose message has a refusal did not take effect.
CREATE TABLE outcome (
	position_id     integer  NOT NULL,
	last_offset     bigint   NOT NULL,
	first_offset    bigint   NOT NULL,
	processed_at_ms bigint   NOT NULL, -- since the epoch
	encoding        smallint NOT NULL, -- of entries, and of the results made from it
	entries         bytea    NOT NULL, -- for each message: distance to the offset before (LEB128), 4 bytes of its hash
	ids             bytea    NOT NULL, -- for each planned command: id (16 bytes), content (first 8 bytes of its hash),
	                                   -- distance to first_offset (4 bytes, little-endian)
	PRIMARY KEY (position_id, last_offset)
);
ALTER TABLE outcome ALTER COLUMN entries SET STORAGE EXTERNAL, -- hashes do not compress
                    ALTER COLUMN ids SET STORAGE EXTERNAL;

-- One row for each message that was not simply answered 204. A person may read it, too.
CREATE TABLE refusal (
	position_id     integer  NOT NULL,
	message_offset  bigint   NOT NULL,
	code            smallint NOT NULL, -- numbers of include/byunique/outcome.def
	attribute       text,              -- U+0000 as \0, a backslash as \\
	detail          text,              -- null: the code's constant text
	PRIMARY KEY (position_id, message_offset)
);
