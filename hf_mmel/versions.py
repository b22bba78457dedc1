"""Versions of the packages of a training that are too old or too new, named before they fail somewhere else."""

from augment.core.versions import check_versions


check_versions("torch", "accelerate", "datasets")
