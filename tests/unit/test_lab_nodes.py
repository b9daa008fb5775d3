"""What a node's domain is, by its roles and its host."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from netaddr import IPNetwork

from labctl.images.store import Image, Manifest
from labctl.lab import nodes
from labctl.plan.lab import INSTALLED, plan
from labctl.plan.model import Identity
from labctl.render.xml import Machine
from labctl.spec import topology

IDENTITY = Identity(team="team01", lab=UUID(int=1), owner=UUID(int=2), mgmt=IPNetwork("192.168.99.0/24"))
MANIFEST = Manifest(name="any", sha256="0", size=1, virtual_size=1, os_info="", created="", source="")


def domain(name: str, *, virt: Any, qemu: tuple[int, int, int], nested: str = "auto") -> ET.Element:
    """Return the domain of a node on a host."""
    spec = topology.load("allinone" if name == "allinone" else "gridka")
    assert spec.openstack is not None
    spec = spec.model_copy(update={"openstack": spec.openstack.model_copy(update={"nested": nested})})
    lab = plan(spec, IDENTITY, stage=INSTALLED)
    machine = Machine(virt=virt, volumes=PurePosixPath("/srv/labs"), cpu="qemu64", lacks=("cx16",))
    site = SimpleNamespace(virt=virt, machine=machine, host=SimpleNamespace(qemu=qemu))
    image = Image(manifest=MANIFEST, volume="any.qcow2", path="/srv/labs/any.qcow2")
    node = lab.node(name)
    names = {node.image, lab.openstack.medium if lab.openstack else ""}
    return ET.fromstring(nodes.document(cast(Any, site), lab, node, images={str(each): image for each in names}))


@pytest.mark.parametrize(
    ("name", "virt", "qemu", "nested", "vcpus"),
    [
        ("compute-1", "qemu", (7, 2, 22), "auto", "1"),
        ("compute-1", "qemu", (7, 2, 22), "qemu", "2"),
        ("compute-1", "qemu", (8, 1, 0), "auto", "2"),
        ("compute-1", "kvm", (7, 2, 22), "auto", "2"),
        ("network-node", "qemu", (7, 2, 22), "auto", "2"),
        ("allinone", "qemu", (7, 2, 22), "auto", "2"),
    ],
)
def test_an_emulated_compute_node_has_one_processor_where_qemu_cannot_patch_two(
    name: str, virt: str, qemu: tuple[int, int, int], nested: str, vcpus: str
) -> None:
    assert domain(name, virt=virt, qemu=qemu, nested=nested).findtext("vcpu") == vcpus


def test_an_emulated_compute_node_offers_svm_and_others_need_not() -> None:
    for name, mode in (("compute-1", "maximum"), ("db-node", "custom")):
        cpu = domain(name, virt="qemu", qemu=(7, 2, 22)).find("cpu")
        assert cpu is not None
        assert cpu.get("mode") == mode
