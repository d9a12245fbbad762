"""A mixed zh/en corpus with known defects, made from text that packages ship."""
