CREATE TABLE "ext_types" (
  customer_id varchar(16) COLLATE "C" NOT NULL
    REFERENCES profile ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  "select" varchar(10) COLLATE "C" NOT NULL,
  "txt" text COLLATE "C" DEFAULT 'it''s \ "so"',
  "int" integer DEFAULT '-5',
  "lng" bigint,
  "dbl" double precision NOT NULL DEFAULT '0.1',
  "day" date NOT NULL,
  "moment" timestamptz DEFAULT '2009-12-18T17:30:00Z',
  "money" numeric(19,4) DEFAULT '12.5000',
  "user" boolean DEFAULT 'true',
  PRIMARY KEY (customer_id, "select", "day")
) WITH (fillfactor = 85);
