"""The service of the role ec2: its files are copied into a node, where they stand alone."""
