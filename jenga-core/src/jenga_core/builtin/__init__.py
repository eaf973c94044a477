"""The plugin "core": what comes with jenga-core, registered through the same door as everybody else's."""
