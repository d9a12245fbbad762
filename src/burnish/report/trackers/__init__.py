"""Trackers as readers of events: what they hold is a copy, and can be made again from events.jsonl."""
