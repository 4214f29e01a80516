"""Returns on spend: ROAS, marginal ROAS, attribution and shape of the response curves."""
