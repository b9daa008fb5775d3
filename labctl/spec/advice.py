"""What a new topology must not have, though a plan could be made of it: it would be found out in the lab.

Topologies on record are not asked: whoever has such a lab already can still destroy it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from labctl.spec.document import Problem

if TYPE_CHECKING:
    from labctl.spec.topology import Topology

LONGEST_NETWORK = 12
"""Characters of a network's name: a bridge that is named after it, br-NAME, has at most 15."""

# inet_aton(3), and so every resolver, takes such words for addresses: getent hosts 10 is 0.0.0.10.
_NUMBER = re.compile("[0-9]+|0x[0-9a-f]*")
# Names that /etc/hosts has in every node already: cloud-init/hosts.j2.
_TAKEN = ("ip6-localhost", "ip6-loopback", "ip6-allnodes", "ip6-allrouters")
_PRINTABLE = re.compile("[ -~]+")


def check(topology: Topology) -> Iterator[Problem]:
    """Yield what would not do in a lab."""
    if _NUMBER.fullmatch(topology.domain.rpartition(".")[2]):
        yield Problem(("domain",), "browsers take names that end in a number for addresses; end it with a word")
    for name in topology.networks:
        if len(name) > LONGEST_NETWORK:
            text = f"the name is longer than {LONGEST_NETWORK} characters, and bridges are named after it"
            yield Problem(("networks", name), text)
    for name in topology.nodes:
        if _NUMBER.fullmatch(name):
            yield Problem(("nodes", name), f'programs take "{name}" for an address; choose a name that is no number')
        if name in _TAKEN:
            yield Problem(("nodes", name), f"{name} has an address in /etc/hosts already; choose another name")
    yield from _passwords(topology)


def _passwords(topology: Topology) -> Iterator[Problem]:
    if topology.password == "":
        yield Problem(("password",), "the password is empty; choose one, or remove the line")
    for name, password in (topology.openstack.passwords if topology.openstack else {}).items():
        if not password:
            yield Problem(("openstack", "passwords", name), "the password is empty; choose one, or remove the line")
        elif not _PRINTABLE.fullmatch(password):
            # PyMySQL sends passwords in Latin-1, MariaDB reads them in UTF-8.
            text = (
                "a password of the cloud is of ASCII's letters, digits, signs and blanks: its readers differ on others"
            )
            yield Problem(("openstack", "passwords", name), text)
