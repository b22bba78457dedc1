"""A report of a training run: one page with its curves and scores, and what the model predicts on variants."""

from .page import check_installed as check_installed
from .page import write_report


__all__ = ["write_report"]
