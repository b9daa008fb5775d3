"""Writes a node's cloud-init documents (NoCloud) and the ISO that carries them."""

from __future__ import annotations

import functools
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jinja2

from labctl import data, quoting
from labctl.plan.model import LabPlan, NodePlan
from labctl.render import dates

VOLUME_ID = "cidata"
"""The label by which cloud-init finds a NoCloud seed."""


@dataclass(frozen=True, kw_only=True)
class SeedKeys:
    """The SSH keys that go into a node.

    Attributes:
        authorized: public keys that may log in as root, OpenSSH's one-line form.
        host_private: the node's own ed25519 key, OpenSSH's PEM form.
        host_public: its public half, one line.
        known_hosts: the public host keys of all the lab's nodes, as OpenSSH's file of that name has them.
    """

    authorized: tuple[str, ...]
    host_private: str = field(repr=False)
    host_public: str
    known_hosts: str


def documents(node: NodePlan, lab: LabPlan, *, keys: SeedKeys) -> dict[str, str]:
    """Write user-data, meta-data and network-config of a node.

    Args:
        node: the node.
        lab: the lab that it belongs to.
        keys: the keys that go into it.
    """
    values = {"node": node, "lab": lab, "keys": keys, "hosts": hosts(node, lab)}
    return {
        "user-data": _render("user-data.j2", **values),
        "meta-data": _render("meta-data.j2", **values),
        "network-config": _render("network-config.j2", **values),
    }


def hosts(node: NodePlan, lab: LabPlan) -> str:
    """Write /etc/hosts of a node."""
    return _render("hosts.j2", node=node, lab=lab, fallback=not _named(node, lab))


def iso(documents: Mapping[str, str]) -> bytes:
    """Build the seed ISO: the same bytes for the same documents.

    Args:
        documents: text by file name.
    """
    import pycdlib  # 0.1 s that only those pay who make a seed

    image = pycdlib.PyCdlib()
    image.new(interchange_level=3, joliet=3, rock_ridge="1.09", sys_ident="LINUX", vol_ident=VOLUME_ID)
    for name, text in documents.items():
        content = text.encode()
        short = "".join(character for character in name.upper() if character.isalnum())
        image.add_fp(
            io.BytesIO(content), len(content), f"/{short}.;1", rr_name=name, joliet_path=f"/{name}", file_mode=0o100444
        )
    written = io.BytesIO()
    image.write_fp(written)
    image.close()
    return dates.erase(written.getvalue())


def _named(node: NodePlan, lab: LabPlan) -> bool:
    """Tell whether the lab's host entries have the node's own name."""
    return any(node.name in entry.names for entry in lab.hosts)


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> jinja2.Environment:
    """Load templates from cloud-init/; a value that passed no quoting filter is an error, as is a missing one."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(data.folder("cloud-init")),
        autoescape=False,  # noqa: S701 - this is YAML: quoting.demand enforces the filters below
        finalize=quoting.demand,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(shell=quoting.shell, word=quoting.word, yaml=quoting.yaml)
    return environment
