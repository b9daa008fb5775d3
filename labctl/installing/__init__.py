"""Executes roles: what is to be done in which order, what was done, and whether it holds."""
