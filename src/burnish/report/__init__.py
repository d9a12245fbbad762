"""Reports and trackers: readers of evidence and events."""
