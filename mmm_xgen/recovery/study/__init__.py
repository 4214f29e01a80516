"""Studies of many fits, each with its own folder on disk, and tables that compare them."""
