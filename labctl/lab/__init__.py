"""The use cases: what an organiser does with labs."""
