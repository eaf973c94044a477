"""Jenga for tables of flows, transactions and metrics: threats, fraud, AIOps. Importing it imports nothing heavy."""

__version__ = "0.1.0"
