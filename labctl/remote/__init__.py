"""Reaches nodes by SSH: the only user of paramiko."""
