"""Model parts: weights, tokenizer, precision; torch is imported inside functions."""
