"""The secrets of a lab's cloud: drawn, pinned by the topology, or on record."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Mapping

from labctl.errors import InputError
from labctl.plan.model import LabPlan
from labctl.remote import keys
from labctl.roles import fit
from labctl.roles.role import ROLES
from labctl.state import LabFolder

_SECRETS = "openstack.json"
_LETTERS = string.ascii_letters + string.digits


def complete(known: Mapping[str, str], lab: LabPlan) -> dict[str, str]:
    """Return a cloud's secrets: those known, those that the topology pins, and new ones for the rest.

    Raises:
        InputError: the topology pins the password of something that there is not.
    """
    names = fit.passwords()
    pinned = dict(lab.openstack.passwords) if lab.openstack else {}
    if unknown := set(pinned) - {"*", *names}:
        raise InputError(
            f"the topology sets passwords that no role uses: {', '.join(sorted(unknown))}",
            details=f"There are: {', '.join(names)}; * stands for all the others.",
        )
    every = pinned.pop("*", None)
    found = {name: known.get(name) or pinned.get(name) or every or _password() for name in names}
    for name, comment in _pairs().items():
        if name in known:
            found |= {name: known[name], f"{name}-public": known[f"{name}-public"]}
        else:
            pair = keys.generate(comment)
            found |= {name: pair.private, f"{name}-public": pair.public}
    return found


def load(folder: LabFolder) -> dict[str, str]:
    """Return the secrets of a lab's cloud that are on record; nothing where none were drawn yet.

    Raises:
        DamagedError: the file holds something else.
    """
    known = folder.read_as(_SECRETS, dict[str, str]) or {}
    if any((name in known) != (f"{name}-public" in known) for name in _pairs()):
        raise folder.damaged(_SECRETS, "it contains only one half of a key")
    return known


def save(folder: LabFolder, known: Mapping[str, str]) -> None:
    """Write the secrets of a lab's cloud."""
    folder.write(_SECRETS, json.dumps(dict(known), indent=2))


def _pairs() -> dict[str, str]:
    """Return the names of the pairs of keys with a word for their ends: the lab's own, and those of its roles."""
    return {"key": "lab"} | {name: role.name for role in ROLES for name in role.keys}


def _password() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(20))
