"""Returns on spend: ROAS, marginal ROAS, attribution, and shapes of the curves."""
