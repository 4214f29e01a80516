"""Truth and posteriors in each other's names, labels and scales."""
