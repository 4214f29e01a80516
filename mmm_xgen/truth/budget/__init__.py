"""The best split of a budget: response curves, constraints, and the global optimum."""
