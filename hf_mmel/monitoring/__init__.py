"""What is logged and kept of a training run."""
