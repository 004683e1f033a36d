CREATE TABLE "ext_phone" (
  customer_id varchar(16) COLLATE "C" NOT NULL
    REFERENCES profile ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  "phonetype" integer,
  "prefix" varchar(5) COLLATE "C",
  "phonenumber" varchar(20) COLLATE "C" NOT NULL,
  "description" varchar(256) COLLATE "C",
  "start_availabilty" timestamptz,
  "end_availabilty" timestamptz,
  PRIMARY KEY (customer_id, "phonenumber")
) WITH (fillfactor = 85);
