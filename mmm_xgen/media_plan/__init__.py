"""A user's media plan: read, checked, and fitted to a configuration."""
