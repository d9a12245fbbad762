"""The serving room: an engine behind a protocol, and an OpenAI-compatible server in front of it."""
