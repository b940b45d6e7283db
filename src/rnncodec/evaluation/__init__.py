"""Measurements of codecs by real files, and the tables and reports made of them."""
