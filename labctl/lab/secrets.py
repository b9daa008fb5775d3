"""A lab's keys: one to log in with, and a host key per node that is known before the node ever boots."""

from __future__ import annotations

import json
from dataclasses import asdict

from labctl.plan.model import LabPlan
from labctl.remote import keys
from labctl.remote.keys import KeyPair
from labctl.render.seed import SeedKeys
from labctl.state import LabFolder


def ensure(folder: LabFolder, lab: LabPlan) -> dict[str, SeedKeys]:
    """Return the seed keys of each node, making those that are missing, and write the files that OpenSSH reads."""
    login = _login(folder, lab.team)
    stored = json.loads(folder.read("host-keys.json") or "{}")
    pairs = {name: KeyPair(**pair) for name, pair in stored.items()}
    missing = [node.name for node in lab.nodes if node.name not in pairs]
    if missing:
        pairs |= {name: keys.generate(name) for name in missing}
        folder.write("host-keys.json", json.dumps({name: asdict(pair) for name, pair in pairs.items()}, indent=2))
    known = keys.known_hosts((_names(lab, node.name), pairs[node.name].public) for node in lab.nodes)
    if folder.read("known_hosts") != known:
        folder.write("known_hosts", known)
    return {
        node.name: SeedKeys(
            authorized=(login.public,),
            host_private=pairs[node.name].private,
            host_public=pairs[node.name].public,
        )
        for node in lab.nodes
    }


def host_key(folder: LabFolder, node: str) -> str:
    """Return a node's public host key, which any connection to it must present."""
    return str(json.loads(folder.read("host-keys.json") or "{}")[node]["public"])


def _login(folder: LabFolder, team: str) -> KeyPair:
    private, public = folder.read("id_ed25519"), folder.read("id_ed25519.pub")
    if private is None or public is None:
        pair = keys.generate(f"labctl {team}")
        folder.write("id_ed25519.pub", f"{pair.public}\n")
        folder.write("id_ed25519", pair.private)
        return pair
    return KeyPair(private=private, public=public.strip())


def _names(lab: LabPlan, name: str) -> list[str]:
    node = lab.node(name)
    return [name, node.domain, *(str(nic.address) for nic in node.nics if nic.address is not None)]
