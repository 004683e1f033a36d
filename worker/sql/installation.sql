SELECT replace(id::text, '-', '') FROM installation
