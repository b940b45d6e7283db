"""How a run starts: alone, as a job of a sweep, or as one of several processes."""
