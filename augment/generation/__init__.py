"""Texts written by sequence-to-sequence and causal language models."""
