"""`jenga migrate`: a configuration of Jenga-AI, the project that Jenga follows, as one of Jenga. Torch-free.

`sections` reads the old file and remembers which keys were asked for, `draft` holds the new configuration with its remarks,
`writing` makes YAML of it. What a key becomes stands in `model`, `training`, `tasks`, `labels` and `monitors`; files of language
models are recognised in `families`. The old vocabulary has two generations: the first, and a later rewrite.
"""
