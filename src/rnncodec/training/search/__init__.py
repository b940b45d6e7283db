"""A search for the best options."""
