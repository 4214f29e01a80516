"""The information bound: how precisely the data can tell their own parameters."""
