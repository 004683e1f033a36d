ALTER TABLE "ext_phone" ALTER COLUMN "prefix" TYPE varchar(20) COLLATE "C";
ALTER TABLE "ext_phone" ALTER COLUMN "prefix" TYPE text COLLATE "C";
ALTER TABLE "ext_phone" ALTER COLUMN "prefix" DROP NOT NULL;
ALTER TABLE "ext_phone" ALTER COLUMN "prefix" SET DEFAULT 'a''b';
ALTER TABLE "ext_phone" ALTER COLUMN "prefix" DROP DEFAULT;
ALTER TABLE "ext_phone" ALTER COLUMN "prefix" TYPE varchar(20) COLLATE "C";
ALTER TABLE "ext_phone" ALTER COLUMN "prefix" DROP NOT NULL;
ALTER TABLE "ext_phone" ALTER COLUMN "prefix" SET DEFAULT 'a''b';
