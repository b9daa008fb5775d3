"""Topology, team and host files: what a user writes, read into frozen, validated models."""
