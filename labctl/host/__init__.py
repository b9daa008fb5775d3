"""This machine: can labs run here, and the private libvirt hosts that labctl starts on it."""
