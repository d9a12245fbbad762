"""Exports: one module a target format."""
