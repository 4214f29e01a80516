"""Configuration of a dataset: validated models, YAML and JSON, and changes by dotted path."""
