"""Training: what a step does (module), how a run starts (launch), what it leaves (run), and how it is trained (fit)."""
