"""Graphs: entities and facts, their names in texts, and questions about them."""
