"""Information bound: the smallest standard errors that the data allow."""
