"""Augmenting: the ways to say a text again, and the checks that refuse a copy."""
