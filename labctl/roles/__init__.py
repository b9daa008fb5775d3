"""What nodes do in the cloud: one file a role, each readable as the account of how its service is set up."""
