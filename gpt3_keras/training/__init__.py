"""Training: from a config to a run, in phases."""
