"""Studies: many fits, each a unit of its own on disk, and the tables that compare them."""
