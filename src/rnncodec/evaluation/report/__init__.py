"""One HTML page that compares runs and results: curves, tables, and photos to look at."""
