"""Writes what the daemons of a private host read; each choice with its reason. Pure."""

from __future__ import annotations

LIBVIRTD = """\
# Written by labctl at every start of this private host.
# Only root opens the socket, so there is nothing left to authenticate (and no polkit to ask).
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_ro_perms = "0700"
unix_sock_rw_perms = "0700"
unix_sock_admin_perms = "0700"
unix_sock_dir = "/run/libvirt"
# One client with many threads must not wait for itself: libvirt's own limit is 5 calls a client.
max_clients = 500
max_anonymous_clients = 100
min_workers = 16
max_workers = 64
prio_workers = 8
max_client_requests = 64
# An emulated lab can keep every processor busy for a while: a client is lost after 5 minutes, not 30 seconds.
keepalive_interval = 30
keepalive_count = 10
log_level = 3
log_outputs = "3:file:/var/log/libvirt/libvirtd.log"
"""

QEMU = """\
# Written by labctl at every start of this private host.
# The whole host is a namespace already: per-guest labels, namespaces and cgroups cost time at every start.
security_driver = "none"
namespaces = []
cgroup_controllers = []
# Without labels to restore, remembering the former owner of each disk would cost a process per disk and start.
remember_owner = 0
# libvirt learns a started guest's processor features by asking QEMU 400 questions, one by one, for two thirds of the
# start's time. Without this ability of QEMU's it reads the same in two answers.
capability_filters = [ "cpu-unavailable-features" ]
set_process_name = 1
vnc_listen = "127.0.0.1"
spice_listen = "127.0.0.1"
keepalive_interval = 30
keepalive_count = 10
"""

VIRTLOGD = """\
# Written by labctl at every start of this private host.
log_level = 3
log_outputs = "3:file:/var/log/libvirt/virtlogd.log"
# A console log begins again at 4 MiB. A second file beside it would be nobody's when the lab is destroyed.
max_size = 4194304
max_backups = 0
"""

NETWORK = """\
# Written by labctl at every start of this private host.
# libvirt 10.4 and later would use nftables, which init.sh has no stand-in for.
firewall_backend = "iptables"
"""

FILES = {"libvirtd.conf": LIBVIRTD, "qemu.conf": QEMU, "virtlogd.conf": VIRTLOGD, "network.conf": NETWORK}
"""Text by file name below /etc/libvirt."""
