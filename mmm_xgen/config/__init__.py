"""Frozen configuration models: what the user says, checked once."""
