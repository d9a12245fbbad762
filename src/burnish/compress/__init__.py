"""The compression room: a smaller, faster form of the model for the engine that serves it."""
