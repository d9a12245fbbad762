"""Attacks: what is done to texts to mislead a model, and how each kind is told."""
