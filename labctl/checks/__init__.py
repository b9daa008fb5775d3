"""What works in a lab and who is to blame, seen from outside its nodes: one file a check."""
