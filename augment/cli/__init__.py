"""What `python -m augment` does."""
