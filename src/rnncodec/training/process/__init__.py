"""What one process of a run knows of its machine: ranks, devices, signals."""
