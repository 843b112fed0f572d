"""Training: the run, its steps, losses, checkpoints and callbacks, and cross-validation."""
