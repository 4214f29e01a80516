"""Changes of spend: counterfactuals, scenarios and lift tests."""
