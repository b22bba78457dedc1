"""Batches of groups: how they are collated and taken apart."""
