"""Weighing: groups of records, how often each record goes out, and features to choose by."""
