"""Templates for `jenga init` and `jenga demo`: seeded generators of synthetic texts with a configuration beside them."""
