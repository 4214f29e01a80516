"""Terms of the sales equation, one module each, for a batch of datasets at once."""
