"""The terms of the sales equation, one module each, for a whole batch of datasets at once."""
