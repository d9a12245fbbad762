"""The training room: take a base model, fine-tune it, merge the adapter."""
