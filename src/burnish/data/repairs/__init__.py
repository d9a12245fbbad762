"""Repairs: what cleaning does to a text: damage undone, personal data masked, words counted."""
