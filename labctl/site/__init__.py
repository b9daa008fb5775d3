"""A host that is connected to, and work on it: how many calls at a time, who is told, what stops it."""
