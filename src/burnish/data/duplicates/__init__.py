"""Duplicates: keys, signatures and vectors, the pairs they give, and which of a pair stays."""
