"""The evaluation room: quality, parity, speed under load."""
