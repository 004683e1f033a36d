-- Never a number that was before: a database restored from a backup would come to it again, with another catalogue.
UPDATE state SET catalogue_version = greatest(catalogue_version + 1, (extract(epoch FROM clock_timestamp()) * 1000000)::int8)
