"""Response curves of the budget, constraints on it, and the best split over channels."""
