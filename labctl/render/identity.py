"""Writes the shell script that makes a node of one lab that of another, when its memory has been restored."""

from __future__ import annotations

from labctl import quoting
from labctl.plan.model import NodePlan
from labctl.render.seed import SeedKeys

_KNOWN = "/etc/ssh/ssh_known_hosts"

CLOCK = 'read -r now </sys/class/rtc/rtc0/since_epoch; date -s "@$now.5" >/dev/null'
"""Sets a guest's clock by its real-time clock, which QEMU runs by the host's, also while the guest stands still.

It tells whole seconds; the kernel adds half a second as well when it boots (drivers/rtc/class.c).
"""

_LOOKS = 600
"""So many looks, with a tenth of a second in between, whether the SSH server listens again."""


def script(node: NodePlan, keys: SeedKeys, *, entropy: str, alone: bool) -> str:
    """Return a script for the node's shell: what is unique to a machine, the clock, and a lease of its own network.

    Programs cost much in an emulated guest; most of this is the shell's own.

    Args:
        node: who the guest is from now on.
        keys: who may log in, and how the node proves who it is.
        entropy: random text that nobody else has.
        alone: whether other nodes of its lab went on meanwhile. The guest's connections to them are dead then, as none
            of the two ends has what the other one will send next; each would wait for the other for many minutes.
    """
    addresses = [f"src {nic.address}" for nic in node.nics if nic.address and not nic.dhcp]
    card = next((nic.name for nic in node.nics if nic.dhcp), "")
    word = quoting.shell
    lines = [
        "set -eu",
        CLOCK,
        f"printf %s {word(entropy)} >/dev/urandom",
        "umask 077; [ -d /root/.ssh ] || mkdir /root/.ssh",
        f"printf '%s\\n' {' '.join(map(word, keys.authorized))} >/root/.ssh/authorized_keys",
        f"printf %s {word(keys.host_private)} >/etc/ssh/ssh_host_ed25519_key",
        "umask 022",
        f"printf '%s\\n' {word(keys.host_public)} >/etc/ssh/ssh_host_ed25519_key.pub",
        # It is there where a role has written it: its node logs in to others.
        f"if [ -e {_KNOWN} ]; then printf %s {word(keys.known_hosts)} >{_KNOWN}; fi",
        "rm -f /etc/machine-id",
        f"printf '%s\\n' {word(node.machine_id)} >/etc/machine-id",
        # The server reads its keys when it starts, and hands them to each connection (OpenSSH since 9.8). It begins
        # anew in the same process, and writes this file when it has read them and listens.
        "read -r server </run/sshd.pid; : >/run/sshd.pid; kill -HUP $server",
    ]
    if alone and addresses:
        # Ended here, so that services connect again now, and other nodes are told when they next send anything.
        lines.append(f"ss -tHK {word(' or '.join(addresses))} >/dev/null")
    if card:
        # networkd forgets its lease with the carrier, and asks the new network's server for one.
        lines.append(f"ip link set {word(card)} down; ip link set {word(card)} up")
    lines += [
        "late() { echo 'its SSH server does not listen again' >&2; exit 1; }",
        f"looks=0; until [ -s /run/sshd.pid ]; do [ $((looks += 1)) -le {_LOOKS} ] || late; sleep 0.1; done",
    ]
    return "\n".join(lines) + "\n"
