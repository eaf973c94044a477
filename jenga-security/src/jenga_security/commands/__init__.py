"""Sub-commands of `jenga` that this package provides; a module is imported when its command runs."""
