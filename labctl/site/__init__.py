"""A host that is connected to, and work on it: networks, room, calls at a time, who is told, what stops it."""
