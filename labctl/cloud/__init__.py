"""Speaks to a lab's cloud from outside its nodes."""
