"""Ablations: a page of tables and figures that compares the runs of sweeps, made from the files of the runs."""
