"""Grammars: sentences, their parse, and a model that tells real ones from damaged ones."""
