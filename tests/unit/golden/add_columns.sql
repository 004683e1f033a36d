ALTER TABLE "ext_types" ADD COLUMN "select" varchar(10) COLLATE "C" NOT NULL;
ALTER TABLE "ext_types" ADD COLUMN "txt" text COLLATE "C" DEFAULT 'it''s \ "so"';
ALTER TABLE "ext_types" ADD COLUMN "int" integer DEFAULT '-5';
ALTER TABLE "ext_types" ADD COLUMN "lng" bigint;
ALTER TABLE "ext_types" ADD COLUMN "dbl" double precision NOT NULL DEFAULT '0.1';
ALTER TABLE "ext_types" ADD COLUMN "day" date NOT NULL;
ALTER TABLE "ext_types" ADD COLUMN "moment" timestamptz DEFAULT '2009-12-18T17:30:00Z';
ALTER TABLE "ext_types" ADD COLUMN "money" numeric(19,4) DEFAULT '12.5000';
ALTER TABLE "ext_types" ADD COLUMN "user" boolean DEFAULT 'true';
