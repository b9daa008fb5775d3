"""Reaches nodes and hosts by SSH: the only user of paramiko and OpenSSH."""
