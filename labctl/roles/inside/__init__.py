"""Programs that run inside nodes, with what Debian has there; labctl only reads their text."""
