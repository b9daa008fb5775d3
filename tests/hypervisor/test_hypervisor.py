"""The same behaviours on libvirt's test driver and on real QEMU; no guest boots."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from labctl.errors import AlreadyExistsError, HypervisorError, NotFoundError
from labctl.host import private
from labctl.hypervisor import Hypervisor, State
from labctl.render import xml

NODE = "<node><cpu><mhz>1000</mhz><model>x86_64</model><num>2</num></cpu><memory>4194304</memory></node>"


@pytest.fixture(scope="module")
def private_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URI of a private host of this module's own."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make namespaces")
    root, name = tmp_path_factory.mktemp("hosts"), f"hypervisor-{os.getpid()}"
    try:
        yield private.up(name, root).uri
    finally:
        private.down(name, root, force=True, purge=True)


@pytest.fixture(params=["test", "qemu"])
def hypervisor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hypervisor]:
    """Return a connection to each driver in turn; what a test makes is gone afterwards."""
    if request.param == "test":
        file = tmp_path / "node.xml"
        file.write_text(NODE)
        uri = f"test://{file}"
    else:
        uri = request.getfixturevalue("private_uri")
    with Hypervisor(uri) as connection:
        yield connection
        for domain in connection.domains().values():
            connection.remove_domain(domain.uuid)
        for network in connection.networks().values():
            connection.remove_network(network.uuid)


def domain_xml(hypervisor: Hypervisor, uuid: UUID, name: str = "d") -> str:
    kind = "test" if hypervisor.uri.startswith("test") else "qemu"
    owner = (
        f"<l:node xmlns:l='{xml.NAMESPACE}' owner='{uuid}' lab='{uuid}' team='red' topology='mini' digest='0' "
        "stage='bare' node='node-1' generation='3'/>"
    )
    return (
        f"<domain type='{kind}'><name>{name}</name><uuid>{uuid}</uuid><metadata>{owner}</metadata>"
        "<memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>"
    )


def test_a_domain_is_defined_started_and_removed(hypervisor: Hypervisor) -> None:
    uuid = uuid4()
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    facts = hypervisor.domains()["d"]
    assert (facts.uuid, facts.state, facts.memory) == (uuid, State.SHUTOFF, 64)
    hypervisor.start_domain(uuid)
    assert hypervisor.domains()["d"].state is State.RUNNING
    hypervisor.start_domain(uuid)  # it runs: nothing happens
    hypervisor.remove_domain(uuid)
    hypervisor.remove_domain(uuid)  # it is gone: nothing happens
    assert hypervisor.domain(uuid) is None


def test_a_domain_starts_paused_and_goes_on(private_uri: str) -> None:
    uuid = uuid4()
    with Hypervisor(private_uri) as hypervisor:  # the test driver starts no domain paused
        hypervisor.define_domain(domain_xml(hypervisor, uuid))
        hypervisor.start_domain(uuid, paused=True)
        assert hypervisor.domains()["d"].state is State.PAUSED
        hypervisor.resume_domain(uuid)
        assert hypervisor.domains()["d"].state is State.RUNNING
        hypervisor.remove_domain(uuid)


def test_the_owner_is_read_from_the_metadata(hypervisor: Hypervisor) -> None:
    uuid = uuid4()
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    owner = hypervisor.domains()["d"].owner
    assert owner is not None
    assert (owner.owner, owner.team, owner.node, owner.generation) == (uuid, "red", "node-1", 3)


def test_a_name_that_another_domain_bears_is_refused(hypervisor: Hypervisor) -> None:
    hypervisor.define_domain(domain_xml(hypervisor, uuid4()))
    with pytest.raises(AlreadyExistsError):
        hypervisor.define_domain(domain_xml(hypervisor, uuid4()))


def test_what_is_not_there_is_told(hypervisor: Hypervisor) -> None:
    with pytest.raises(NotFoundError):
        hypervisor.start_domain(uuid4())
    with pytest.raises(HypervisorError):
        hypervisor.define_domain("<domain/>")


def test_waiting_for_a_domain_ends_with_its_event(hypervisor: Hypervisor) -> None:
    uuid, cancelled = uuid4(), threading.Event()
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    hypervisor.start_domain(uuid)
    threading.Timer(0.2, hypervisor.power_off, [uuid]).start()
    off = hypervisor.wait_for_domain(
        uuid, lambda facts: facts is None or not facts.state.active, timeout=20, cancelled=cancelled
    )
    assert off
    assert not hypervisor.wait_for_domain(uuid, lambda _: False, timeout=0.1, cancelled=cancelled)


def test_a_network_is_made_once_and_removed_twice(hypervisor: Hypervisor) -> None:
    uuid = uuid4()
    hypervisor.create_network(f"<network><name>n</name><uuid>{uuid}</uuid><bridge name='labtest0'/></network>")
    assert hypervisor.networks()["n"].active
    hypervisor.start_network(uuid)
    hypervisor.remove_network(uuid)
    hypervisor.remove_network(uuid)
    assert "n" not in hypervisor.networks()


def test_a_volume_is_refused_twice_and_removed_twice(hypervisor: Hypervisor) -> None:
    hypervisor.create_pool(xml.pool_xml("p", "/var/lib/libvirt/images/p"))
    document = xml.volume_xml("v", "raw", 1024**2)
    assert hypervisor.create_volume("p", document).capacity == 1024**2
    with pytest.raises(AlreadyExistsError):
        hypervisor.create_volume("p", document)
    assert list(hypervisor.volumes("p")) == ["v"]
    hypervisor.remove_volume("p", "v")
    hypervisor.remove_volume("p", "v")
    hypervisor.remove_pool(hypervisor.pools()["p"].uuid)
    assert "p" not in hypervisor.pools()
