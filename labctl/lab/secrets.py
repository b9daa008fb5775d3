"""A lab's keys: one to log in with, and a host key per node that is known before the node ever boots."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict

from labctl.plan.model import LabPlan
from labctl.remote import keys
from labctl.remote.keys import KeyPair
from labctl.render.seed import SeedKeys
from labctl.state import LabFolder

_HOSTS = "host-keys.json"
_LOGIN = "id_ed25519"


def ensure(folder: LabFolder, lab: LabPlan, ready: Collection[str] = ()) -> dict[str, SeedKeys]:
    """Return the seed keys of each node, making those that are missing, and write the files that OpenSSH reads.

    Args:
        ready: nodes that were seen ready, with keys that were made before.

    Raises:
        DamagedError: keys that were made are gone, or cannot be read any more.
    """
    if ready:
        login_key(folder)
        for name in ready:
            host_key(folder, name)
    login = _login(folder, lab.team)
    pairs = _stored(folder)
    missing = [node.name for node in lab.nodes if node.name not in pairs]
    if missing:
        pairs |= {name: keys.generate(name) for name in missing}
        folder.write(_HOSTS, json.dumps({name: asdict(pair) for name, pair in pairs.items()}, indent=2))
    known = known_hosts(folder, lab)
    if folder.read("known_hosts") != known:
        folder.write("known_hosts", known)
    return {
        node.name: SeedKeys(
            authorized=(login.public,),
            host_private=pairs[node.name].private,
            host_public=pairs[node.name].public,
            known_hosts=known,
        )
        for node in lab.nodes
    }


def host_key(folder: LabFolder, node: str) -> str:
    """Return a node's public host key, which any connection to it must present.

    Raises:
        DamagedError: there is none any more.
    """
    pairs = _stored(folder)
    if node not in pairs:
        raise folder.damaged(_HOSTS, f"it has no key of {node}")
    return pairs[node].public


def known_hosts(folder: LabFolder, lab: LabPlan) -> str:
    """Return the public host keys of a lab's nodes as OpenSSH's file known_hosts has them; of those that have one yet.

    Raises:
        DamagedError: they cannot be read any more.
    """
    pairs = _stored(folder)
    made = [node.name for node in lab.nodes if node.name in pairs]
    return keys.known_hosts((_names(lab, name), pairs[name].public) for name in made)


def login_key(folder: LabFolder) -> str:
    """Return the private key that logs in to the lab's nodes.

    Raises:
        DamagedError: there is none any more.
    """
    private = folder.read(_LOGIN)
    if private is None:
        raise folder.damaged(_LOGIN, "it is gone")
    _public(folder, _LOGIN, private, folder.team)
    return private


def _stored(folder: LabFolder) -> dict[str, KeyPair]:
    pairs = folder.read_as(_HOSTS, dict[str, KeyPair]) or {}
    for name, pair in pairs.items():
        if _public(folder, _HOSTS, pair.private, name).split()[:2] != pair.public.split()[:2]:
            raise folder.damaged(_HOSTS, f"the two halves of the key of {name} are not one key's")
    return pairs


def _login(folder: LabFolder, team: str) -> KeyPair:
    private, comment = folder.read(_LOGIN), f"labctl {team}"
    if private is None:
        pair = keys.generate(comment)
        folder.write(f"{_LOGIN}.pub", f"{pair.public}\n")
        folder.write(_LOGIN, pair.private)
        return pair
    pair = KeyPair(private=private, public=_public(folder, _LOGIN, private, comment))
    folder.write(f"{_LOGIN}.pub", f"{pair.public}\n")  # whatever became of it
    return pair


def _public(folder: LabFolder, file: str, private: str, comment: str) -> str:
    try:
        return keys.public_of(private, comment)
    except ValueError as exc:
        raise folder.damaged(file, exc) from exc


def _names(lab: LabPlan, name: str) -> list[str]:
    node = lab.node(name)
    return [name, node.full_name, *(str(nic.address) for nic in node.nics if nic.address is not None)]
