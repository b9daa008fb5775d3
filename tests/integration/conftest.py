from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.host import private
from labctl.host.private import PrivateHost
from tests.integration import base_image
from tests.integration.lab_host import LabHost


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs namespaces where we may not make any."""
    if os.geteuid() != 0:
        for item in items:
            if item.get_closest_marker("root"):
                item.add_marker(pytest.mark.skip(reason="needs root, to make namespaces"))


@pytest.fixture(scope="session")
def private_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHost]:
    """A private host for the whole session, with an empty state folder; gone afterwards, whatever happened in it."""
    root = tmp_path_factory.mktemp("hosts")
    name = f"test-{os.getpid()}"
    try:
        yield private.up(name, root)
    finally:
        private.down(name, root, force=True, purge=True)


@pytest.fixture(scope="session")
def lab_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    """An installation with a private host."""
    host = LabHost(tmp_path_factory.mktemp("home"))
    try:
        host.labctl("host", "up", "local")
        yield host
    finally:
        host.remove()


@pytest.fixture(scope="session")
def image_host(lab_host: LabHost) -> LabHost:
    """The same installation with the base image."""
    base_image.provide(lab_host)
    return lab_host


@pytest.fixture(scope="session")
def set_host(image_host: LabHost) -> LabHost:
    """The same installation with a golden set of topology mini, captured of a lab that booted: labs fork it."""
    image_host.labctl("create", "origin", "--topology", "mini", "--cold")
    image_host.labctl("golden", "capture", "origin", "--name", "origin")
    image_host.labctl("destroy", "origin")
    return image_host


@pytest.fixture
def hosts_root(tmp_path: Path) -> Iterator[Path]:
    """A folder for private hosts of one test's own; all of them are gone afterwards."""
    root = tmp_path / "hosts"
    yield root
    for name in private.names(root):
        private.down(name, root, force=True, purge=True)
