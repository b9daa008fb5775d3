"""Golden sets and snapshots: capture running labs, store what was captured, restore from it, move it between hosts."""
