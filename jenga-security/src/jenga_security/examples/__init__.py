"""Templates for `jenga init` and `jenga demo`: seeded generators of synthetic data with a configuration beside them."""
