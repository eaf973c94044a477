"""Why a model says what it says: what each cell contributed to a row's output, and how much each column is worth to it.

`gradients` integrates the network's gradients, `lookups` follows integers through embeddings, `contributions` brings both
back to the table's columns and characters, `reasons` picks the largest, `importance` shuffles columns.
"""
