"""Image files ↔ arrays of pixels, their metadata, and how large pictures are divided."""
