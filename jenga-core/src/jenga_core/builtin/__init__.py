"""The plugin "core": sources, tasks, fusions and loop hooks of no modality, registered through the public door."""
