"""Losses, divergences and weights of a batch of groups."""
