"""Candidates from a masked language model."""
