"""Writes libvirt's documents for networks, pools, volumes and domains."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

import jinja2
from markupsafe import Markup

from labctl import data, quoting
from labctl.plan.capacity import TB_CACHE
from labctl.plan.model import DiskPlan, LabPlan, NetworkPlan, NodePlan

NAMESPACE = "urn:labctl:1"
"""XML namespace of the metadata by which labctl knows its own domains and networks."""

CPU_MODES = ("host-passthrough", "host-model", "maximum")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a host offers its domains; the same for all nodes of a lab.

    Attributes:
        virt: kvm, or qemu for emulation (TCG).
        volumes: the folder of the storage pool on the host. Disks are named by path, not by pool and volume: the
            AppArmor profile that Debian's libvirt writes for a domain leaves out disks of type "volume".
        type: machine type; pc boots faster than q35 under emulation, its devices need no PCI bridges.
        cpu: a mode (host-passthrough, host-model, maximum) or a model's name.
        lacks: features to take away from the processor.
        medium: path of the install medium on the host; None for none.
        os_info: libosinfo's name of the guests' system, empty when unknown; virt-manager shows its icon.
    """

    virt: Literal["kvm", "qemu"]
    volumes: PurePosixPath
    type: str = "pc"
    cpu: str = "host-passthrough"
    lacks: tuple[str, ...] = ()
    medium: PurePosixPath | None = None
    os_info: str = "http://debian.org/debian/13"


def disk_xml(disk: DiskPlan, *, backing: str | None) -> str:
    """Describe a node's disk, a qcow2 volume.

    Args:
        disk: the disk.
        backing: path on the host of the qcow2 volume that it is an overlay of; None for an empty disk.
    """
    return _render("volume.xml.j2", name=disk.volume, capacity=disk.capacity, format="qcow2", backing=backing)


def domain_xml(node: NodePlan, lab: LabPlan, *, machine: Machine) -> str:
    """Describe a node's domain.

    Args:
        node: the node.
        lab: the lab that it belongs to.
        machine: what the host offers.
    """
    networks = {network.key: network.name for network in lab.networks}
    seed = machine.volumes / node.seed
    return _render(
        "domain.xml.j2",
        node=node,
        lab=lab,
        machine=machine,
        tb_cache=TB_CACHE[lab.stage],
        networks=networks,
        seed=seed,
        console=machine.volumes / node.console,
        modes=CPU_MODES,
    )


def network_xml(network: NetworkPlan, lab: LabPlan) -> str:
    """Describe a network of a lab."""
    return _render("network.xml.j2", network=network, lab=lab, domain=f"{network.key}.{lab.domain}")


def pool_xml(name: str, path: str | PurePosixPath) -> str:
    """Describe a storage pool: a folder on the host.

    Args:
        name: the pool's name.
        path: absolute path of the folder on the host.
    """
    return _render("pool.xml.j2", name=name, path=path)


def volume_xml(name: str, form: str, capacity: int) -> str:
    """Describe a volume without a backing volume, for bytes that are uploaded: an image, a seed ISO.

    Args:
        name: the volume's name.
        form: raw or qcow2.
        capacity: bytes that a guest sees.
    """
    return _render("volume.xml.j2", name=name, capacity=capacity, format=form, backing=None)


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(values, namespace=NAMESPACE)


@functools.cache
def _environment() -> jinja2.Environment:
    """Load templates from networks/; each value that they print is escaped, and a missing one is an error."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(data.folder("networks")),
        autoescape=True,
        finalize=_escape,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _escape(value: object) -> Markup:
    if value is None:
        raise TypeError("a template uses a value that does not exist")
    return Markup(quoting.xml(value))  # noqa: S704 - escaped by the line itself
