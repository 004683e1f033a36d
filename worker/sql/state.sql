SELECT catalogue_version, id_generation FROM state
