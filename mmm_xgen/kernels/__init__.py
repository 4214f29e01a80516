"""The arithmetic, on plain NumPy arrays; a kind is one function in one of these modules."""
