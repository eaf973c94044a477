"""Why a model says what it says: what each cell contributed to a row's output, and how much each column is worth to it.

`gradients` integrates the network's gradients, `lookups` follows integers through embeddings, `occlusion` replaces cells where
there is no gradient, `contributions` brings all three back to the table's columns and characters, `explained` does so for many
rows, `reasons` picks the largest, `importance` shuffles columns.
"""
