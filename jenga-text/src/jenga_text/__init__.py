"""Jenga for text: tokenizers, pretrained and small encoders. Importing it imports nothing heavy."""

__version__ = "0.1.0"
