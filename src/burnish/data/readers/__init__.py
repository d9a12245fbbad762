"""Readers: how each kind of source is read, in bounded memory, and what is set aside with its reason."""
