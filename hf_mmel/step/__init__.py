"""The training step over groups of variants."""
