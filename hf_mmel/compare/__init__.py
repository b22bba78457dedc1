"""Which method helps on your data: a grid of methods, augmenters and seeds, trained, and compared by its scores."""

from .command import compare


__all__ = ["compare"]
