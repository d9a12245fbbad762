"""OpenAI's HTTP protocol in front of a service."""
