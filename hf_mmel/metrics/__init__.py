"""Metric modules that `evaluate.load` reads by path, so that scoring needs no network."""
