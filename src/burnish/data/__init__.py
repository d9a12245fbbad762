"""The data room: collect, clean, deduplicate, gate for quality, split."""
