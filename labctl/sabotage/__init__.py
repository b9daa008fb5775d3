"""Faults that are realistic, reversible and proven red: one file a fault."""
