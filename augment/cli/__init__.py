"""The sub-commands of `python -m augment`."""
