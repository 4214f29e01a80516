"""Media plans of users: reading, checking and fitting to a configuration."""
