"""burnish: take a base model, domain text and limits; give back the served model that meets them."""

__version__ = "0.1.0"
