"""The plugin "core": sources, tasks, fusions, balancing and hooks, registered through the public door."""
