"""labctl gives every workshop team its own OpenStack lab on libvirt."""

__version__ = "0.1.0"
