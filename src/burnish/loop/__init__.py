"""The joined loop: recipes that call stages of several rooms."""
