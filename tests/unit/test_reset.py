"""What a reset refuses before anything is lost."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from netaddr import IPNetwork

from labctl.errors import InputError
from labctl.hypervisor import Listing
from labctl.images.store import Image, Manifest
from labctl.lab import reset
from labctl.site.work import Work
from labctl.spec import topology
from labctl.state import Home, LabRecord


def image(name: str) -> Image:
    manifest = Manifest(name=name, sha256="0", size=1, virtual_size=1, os_info="", created="", source="")
    return Image(manifest=manifest, volume=f"image-{name}.qcow2", path=f"/srv/image-{name}.qcow2")


def test_a_stage_whose_image_is_missing_costs_nothing(tmp_path: Path) -> None:
    spec = topology.load("gridka")
    home = Home(tmp_path)
    record = LabRecord(
        team="red",
        lab=uuid4(),
        owner=uuid4(),
        host="local",
        mgmt=IPNetwork("192.168.128.0/24"),
        topology=spec.document(),
        digest=spec.digest,
        stage="installed",
        virt="qemu",
    )
    home.lab("red").save(record)
    site: Any = SimpleNamespace(
        domains=Listing({}, {}.get),
        networks=Listing({}, {}.get),
        volumes=Listing({}, {}.get),
        settings=SimpleNamespace(pool=SimpleNamespace(name="labctl")),
        images=SimpleNamespace(every=lambda volumes: [image("openstack"), image("openstack-medium")]),
    )
    site.again = lambda: site
    work = Work(home=home, site=site, jobs=1, progress=cast(Any, None), cancelled=threading.Event())
    with pytest.raises(InputError, match="no image debian-13"):
        reset.reset(work, "red", ["image-node"], stage="bare")
    assert home.lab("red").load() == record
