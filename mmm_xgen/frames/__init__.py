"""Wide and long data frames: reading, checking and writing."""
