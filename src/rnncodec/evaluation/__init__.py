"""Measures of a codec."""
