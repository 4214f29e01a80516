"""Functions on NumPy arrays for adstock, saturation, spend patterns, trends, events and noise."""
