"""The accuracy of a text classifier in the worst case over variants: `python -m hf_mmel attack`."""

from .command import attack as attack


__all__ = ["attack"]
