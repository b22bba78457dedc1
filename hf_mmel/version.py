"""The version of this package, bumped here alone, and a check of the versions that it needs."""

from augment.core.versions import check_versions


__version__ = "0.1.0"

check_versions("torch", "accelerate", "datasets")
