CREATE TABLE "ext_pair" (
  customer_id varchar(16) COLLATE "C" NOT NULL
    REFERENCES profile ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  "first" double precision NOT NULL,
  "note" text COLLATE "C",
  "must" text COLLATE "C" NOT NULL,
  "second" numeric(19,4) NOT NULL,
  "flag" boolean,
  PRIMARY KEY (customer_id, "second", "first")
) WITH (fillfactor = 85);
