"""Studies: arms by sets, measured into a database, and the report that is made of it."""
