"""Scoring: keywords, embeddings and classifiers, and scores that a first pass keeps for the second."""
