SELECT catalogue_version FROM state
