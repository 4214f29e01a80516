"""Truth and posteriors in one another's names, labels and scales."""
