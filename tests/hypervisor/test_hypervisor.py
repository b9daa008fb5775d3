"""The same behaviours on libvirt's test driver, on the fake hypervisor and on real QEMU; no guest boots."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import threading
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from uuid import UUID, uuid4

import pytest

from labctl.errors import AlreadyExistsError, CapacityError, DeadlineError, HypervisorError, NotFoundError
from labctl.host import private
from labctl.host.private import PrivateHost
from labctl.hypervisor import Hypervisor, State
from labctl.hypervisor.fake import FakeHypervisor
from labctl.hypervisor.fake_disk import qcow2
from labctl.hypervisor.fake_host import FakeHost
from labctl.hypervisor.fake_objects import FakeGuest
from labctl.hypervisor.memory import MOST, Head
from labctl.render import xml

NODE = "<node><cpu><mhz>1000</mhz><model>x86_64</model><num>2</num></cpu><memory>4194304</memory></node>"
POOL = f"{private.POOL}/p"
MIB = 1024**2


@dataclass(frozen=True)
class Machine:
    """A hypervisor that runs domains with disks, further connections to it, and what others do behind its back."""

    hypervisor: Hypervisor
    connect: Callable[[], Hypervisor]
    delete: Callable[[str], None]
    stop_network: Callable[[str], None]


@pytest.fixture(scope="module")
def private_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateHost]:
    """Return a private host of this module's own."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to make namespaces")
    root, name = tmp_path_factory.mktemp("hosts"), f"hypervisor-{os.getpid()}"
    try:
        yield private.up(name, root)
    finally:
        private.down(name, root, force=True, purge=True)


def fake() -> tuple[FakeHost, Hypervisor]:
    """Return a fake host without guests: its domains' firmware finds nothing to boot, as in the other drivers."""

    def booted(guest: FakeGuest) -> None:
        guest.agent = guest.listens = False

    host = FakeHost()
    host.booted = booted
    return host, cast(Hypervisor, FakeHypervisor(host))


def clear(connection: Hypervisor) -> None:
    """Remove all that a test made."""
    for domain in connection.domains().values():
        connection.remove_domain(domain.uuid)
    for network in connection.networks().values():
        connection.remove_network(network.uuid)
    for pool in connection.pools().values():
        if not pool.active:
            connection.start_pool(pool.name)
        connection.refresh_pool(pool.name)
        for volume in connection.volumes(pool.name):
            connection.remove_volume(pool.name, volume)
        connection.remove_pool(pool.uuid)


@pytest.fixture(params=["test", "fake", "qemu"])
def hypervisor(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Hypervisor]:
    """Return a connection to each driver in turn; what a test makes is gone afterwards."""
    if request.param == "fake":
        yield fake()[1]
        return
    if request.param == "test":
        file = tmp_path / "node.xml"
        file.write_text(NODE)
        uri = f"test://{file}"
    else:
        uri = request.getfixturevalue("private_host").uri
    with Hypervisor(uri) as connection:
        yield connection
        clear(connection)


@pytest.fixture(params=["fake", "qemu"])
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Return the fake hypervisor and QEMU in turn, with a pool `p`: the test driver has no files."""
    if request.param == "fake":
        host, hypervisor = fake()
        hypervisor.create_pool(xml.pool_xml("p", POOL))
        yield Machine(
            hypervisor,
            lambda: cast(Hypervisor, FakeHypervisor(host)),
            lambda path: cast(None, host.files.pop(path)),
            lambda name: host.stop_network(host.network(name)),
        )
        return
    real: PrivateHost = request.getfixturevalue("private_host")
    images = real.folder / "lib/images"
    with Hypervisor(real.uri) as connection:
        connection.create_pool(xml.pool_xml("p", POOL))

        def delete(path: str) -> None:
            (images / Path(path).relative_to(real.pool)).unlink()

        def stop_network(name: str) -> None:
            subprocess.run(["virsh", "--connect", real.uri, "net-destroy", name], check=True, capture_output=True)

        yield Machine(connection, lambda: Hypervisor(real.uri), delete, stop_network)
        clear(connection)


def domain_xml(hypervisor: Hypervisor, uuid: UUID, name: str = "d", devices: str = "") -> str:
    kind = "test" if hypervisor.uri.startswith("test") else "qemu"
    owner = (
        f"<l:node xmlns:l='{xml.NAMESPACE}' owner='{uuid}' lab='{uuid}' team='red' topology='mini' digest='0' "
        "stage='bare' node='node-1' generation='3'/>"
    )
    return (
        f"<domain type='{kind}'><name>{name}</name><uuid>{uuid}</uuid><metadata>{owner}</metadata>"
        f"<memory unit='MiB'>64</memory><os><type>hvm</type></os><devices>{devices}</devices></domain>"
    )


def disk(path: str, device: str = "vda") -> str:
    return (
        f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'/>"
        f"<target dev='{device}' bus='virtio'/></disk>"
    )


def card(network: str) -> str:
    return (
        f"<interface type='network'><mac address='52:54:00:00:00:01'/><source network='{network}'/>"
        "<model type='virtio'/></interface>"
    )


AGENT = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"


def network_xml(uuid: UUID, name: str = "n", bridge: str = "labtest0", address: str = "") -> str:
    ip = f"<ip address='{address}' prefix='24'/>" if address else ""
    return f"<network><name>{name}</name><uuid>{uuid}</uuid><bridge name='{bridge}'/>{ip}</network>"


def overlay_xml(name: str, backing: str) -> str:
    return (
        f"<volume><name>{name}</name><capacity unit='bytes'>{4 * MIB}</capacity><target><format type='qcow2'/></target>"
        f"<backingStore><path>{backing}</path><format type='qcow2'/></backingStore></volume>"
    )


# -- the host ---------------------------------------------------------------------------------------------------


def test_the_host_tells_what_it_has(hypervisor: Hypervisor) -> None:
    facts = hypervisor.host()
    assert facts.memory >= facts.available > 0
    assert facts.cpus >= 1
    assert facts.libvirt > (1, 0, 0)
    assert hypervisor.merged() >= 0
    assert isinstance(hypervisor.kvm_obstacle(), str)


def test_the_processor_is_the_same_each_time(machine: Machine) -> None:
    assert machine.hypervisor.processor() == machine.hypervisor.processor() != ""


def test_a_connection_that_is_closed_tells_nothing(machine: Machine) -> None:
    with machine.connect() as other:
        assert other.pools().keys() == {"p"}
    other.close()  # it is closed already: nothing happens
    with pytest.raises(HypervisorError):
        other.pools()
    assert machine.hypervisor.pools().keys() == {"p"}


# -- domains ----------------------------------------------------------------------------------------------------


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


def test_a_domain_starts_paused_and_goes_on(machine: Machine) -> None:
    uuid, hypervisor = uuid4(), machine.hypervisor
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    hypervisor.start_domain(uuid, paused=True)
    assert hypervisor.domains()["d"].state is State.PAUSED
    hypervisor.resume_domain(uuid)
    assert hypervisor.domains()["d"].state is State.RUNNING
    with pytest.raises(HypervisorError, match="cannot resume"):
        hypervisor.resume_domain(uuid)


def test_a_domain_stands_still_however_often_it_is_asked_to(hypervisor: Hypervisor) -> None:
    uuid = uuid4()
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    with pytest.raises(HypervisorError):
        hypervisor.suspend_domain(uuid)  # it is off
    hypervisor.start_domain(uuid)
    hypervisor.suspend_domain(uuid)
    hypervisor.suspend_domain(uuid)
    facts = hypervisor.domains()["d"]
    assert (facts.state, facts.reason) == (State.PAUSED, "user")
    hypervisor.resume_domain(uuid)
    facts = hypervisor.domains()["d"]
    assert (facts.state, facts.reason) == (State.RUNNING, "")


def test_a_domain_is_powered_off_however_often(hypervisor: Hypervisor) -> None:
    uuid = uuid4()
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    hypervisor.start_domain(uuid)
    hypervisor.power_off(uuid)
    hypervisor.power_off(uuid)
    assert hypervisor.domains()["d"].state is State.SHUTOFF
    with pytest.raises(HypervisorError):
        hypervisor.resume_domain(uuid)


def test_a_guest_that_does_not_listen_is_not_shut_down(machine: Machine) -> None:
    uuid, hypervisor = uuid4(), machine.hypervisor
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    with pytest.raises(HypervisorError):
        hypervisor.shutdown_domain(uuid)  # it is off
    hypervisor.start_domain(uuid)
    hypervisor.shutdown_domain(uuid)
    assert hypervisor.domains()["d"].state is State.RUNNING


def test_the_owner_is_read_from_the_metadata(hypervisor: Hypervisor) -> None:
    uuid = uuid4()
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    owner = hypervisor.domains()["d"].owner
    assert owner is not None
    assert (owner.owner, owner.team, owner.node, owner.generation) == (uuid, "red", "node-1", 3)


def test_a_domain_that_is_defined_again_is_changed(hypervisor: Hypervisor) -> None:
    uuid = uuid4()
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    hypervisor.define_domain(domain_xml(hypervisor, uuid).replace("64<", "96<"))
    assert hypervisor.domains()["d"].memory == 96


def test_a_name_that_another_domain_bears_is_refused(hypervisor: Hypervisor) -> None:
    hypervisor.define_domain(domain_xml(hypervisor, uuid4()))
    with pytest.raises(AlreadyExistsError):
        hypervisor.define_domain(domain_xml(hypervisor, uuid4()))


def test_a_domain_is_not_renamed_by_its_document(hypervisor: Hypervisor) -> None:
    uuid = uuid4()
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    with pytest.raises(HypervisorError, match="already defined"):
        hypervisor.define_domain(domain_xml(hypervisor, uuid, "other"))


def test_what_is_not_there_is_told(hypervisor: Hypervisor) -> None:
    for call in (hypervisor.start_domain, hypervisor.power_off, hypervisor.suspend_domain, hypervisor.processor_time):
        with pytest.raises(NotFoundError):
            call(uuid4())
    for document in ("<domain/>", "<domain", "<network><name>n</name></network>"):
        with pytest.raises(HypervisorError):
            hypervisor.define_domain(document)


def test_a_domain_tells_what_it_takes(machine: Machine) -> None:
    uuid, hypervisor = uuid4(), machine.hypervisor
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    assert hypervisor.resident() == {}
    hypervisor.start_domain(uuid)
    assert hypervisor.resident()[uuid] > 0
    assert hypervisor.processor_time(uuid) >= 0


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
    cancelled.set()
    assert not hypervisor.wait_for_domain(uuid, lambda _: False, timeout=20, cancelled=cancelled)


def test_only_a_running_guest_with_an_agent_is_asked(machine: Machine) -> None:
    uuid, hypervisor, cancelled = uuid4(), machine.hypervisor, threading.Event()
    hypervisor.define_domain(domain_xml(hypervisor, uuid, devices=AGENT))
    with pytest.raises(HypervisorError, match="cannot"):
        hypervisor.run_inside(uuid, "true", timeout=1, cancelled=cancelled)
    hypervisor.start_domain(uuid, paused=True)
    with pytest.raises(HypervisorError, match="cannot"):
        hypervisor.run_inside(uuid, "true", timeout=1, cancelled=cancelled)
    hypervisor.resume_domain(uuid)
    assert hypervisor.domains()["d"].agent is False
    with pytest.raises(DeadlineError):
        hypervisor.run_inside(uuid, "true", timeout=1, cancelled=cancelled)


def test_all_domains_tell_their_states_and_disks_at_once(machine: Machine) -> None:
    one, two, hypervisor = uuid4(), uuid4(), machine.hypervisor
    base = hypervisor.create_volume("p", xml.volume_xml("base", "qcow2", 4 * MIB))
    top = hypervisor.create_volume("p", overlay_xml("top", base.path))
    hypervisor.define_domain(domain_xml(hypervisor, one, "one", devices=disk(top.path)))
    hypervisor.define_domain(domain_xml(hypervisor, two, "two"))
    assert hypervisor.files() == {}
    hypervisor.start_domain(one)
    assert hypervisor.states() == {("one", one): State.RUNNING, ("two", two): State.SHUTOFF}
    assert hypervisor.files() == {"one": {top.path, base.path}}


def test_what_is_gone_when_it_is_looked_at_is_not_there(machine: Machine) -> None:
    uuid, hypervisor = uuid4(), machine.hypervisor
    hypervisor.create_volume("p", xml.volume_xml("v", "raw", 0))
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    volumes, domains = hypervisor.volumes("p"), hypervisor.domains()
    assert (list(volumes), list(domains), domains.uuids) == (["v"], ["d"], {uuid: "d"})
    hypervisor.remove_volume("p", "v")
    assert "v" not in volumes
    assert not volumes.values()
    assert domains.of(uuid) == domains["d"]
    assert domains.of(uuid4()) is None


@pytest.mark.parametrize("what", ["disk", "backing"])
def test_a_domain_whose_disk_is_gone_does_not_start(machine: Machine, what: str) -> None:
    uuid, hypervisor = uuid4(), machine.hypervisor
    base = hypervisor.create_volume("p", xml.volume_xml("base", "qcow2", 4 * MIB))
    top = hypervisor.create_volume("p", overlay_xml("top", base.path))
    hypervisor.define_domain(domain_xml(hypervisor, uuid, devices=disk(top.path)))
    hypervisor.remove_volume("p", "top" if what == "disk" else "base")
    with pytest.raises(HypervisorError, match="cannot start domain d") as caught:
        hypervisor.start_domain(uuid)
    assert "No such file or directory" in caught.value.details
    assert hypervisor.domains()["d"].state is State.SHUTOFF


def test_two_domains_do_not_write_to_one_disk(machine: Machine) -> None:
    first, second, hypervisor = uuid4(), uuid4(), machine.hypervisor
    path = hypervisor.create_volume("p", xml.volume_xml("v", "qcow2", 4 * MIB)).path
    for uuid, name in ((first, "first"), (second, "second")):
        hypervisor.define_domain(domain_xml(hypervisor, uuid, name, disk(path)))
    hypervisor.start_domain(first)
    with pytest.raises(HypervisorError, match="cannot start domain second") as caught:
        hypervisor.start_domain(second)
    assert "lock" in caught.value.details
    hypervisor.power_off(first)
    hypervisor.start_domain(second)


@pytest.mark.parametrize("there", [True, False])
def test_a_domain_whose_network_is_off_does_not_start(machine: Machine, there: bool) -> None:
    uuid, network, hypervisor = uuid4(), uuid4(), machine.hypervisor
    hypervisor.define_domain(domain_xml(hypervisor, uuid, devices=card("n")))
    if there:
        document = network_xml(network, address="192.168.233.1")
        hypervisor.create_network(network_xml(uuid4(), "rival", "labtest1", "192.168.233.1"))
        with pytest.raises(HypervisorError, match="cannot start network n"):
            hypervisor.create_network(document)
    with pytest.raises(HypervisorError if there else NotFoundError, match="cannot start domain d") as caught:
        hypervisor.start_domain(uuid)
    assert ("is not active" if there else "no network with matching name") in caught.value.details


# -- memory -----------------------------------------------------------------------------------------------------


def saved(hypervisor: Hypervisor, uuid: UUID) -> str:
    """Start a domain and save its memory; return the path."""
    path = hypervisor.create_volume("p", xml.volume_xml("d.memory", "raw", 0)).path
    hypervisor.start_domain(uuid)
    hypervisor.suspend_domain(uuid)
    hypervisor.save_domain(uuid, path)
    return path


def test_a_saved_domain_is_off_and_comes_back_standing_still(machine: Machine) -> None:
    uuid, hypervisor = uuid4(), machine.hypervisor
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    path = saved(hypervisor, uuid)
    assert hypervisor.domains()["d"].state is State.SHUTOFF
    assert hypervisor.volumes("p")["d.memory"].allocation > 0
    hypervisor.restore_domain(path)
    assert hypervisor.domains()["d"].state is State.PAUSED
    with pytest.raises(HypervisorError, match="cannot restore"):
        hypervisor.restore_domain(path)  # it is on
    hypervisor.resume_domain(uuid)
    assert hypervisor.domains()["d"].state is State.RUNNING


def test_a_domain_that_is_off_has_no_memory_to_save(machine: Machine) -> None:
    uuid, hypervisor = uuid4(), machine.hypervisor
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    path = hypervisor.create_volume("p", xml.volume_xml("d.memory", "raw", 0)).path
    with pytest.raises(HypervisorError, match="cannot save"):
        hypervisor.save_domain(uuid, path)
    with pytest.raises(HypervisorError, match="cannot restore"):
        hypervisor.restore_domain(path)  # nothing is in it
    with pytest.raises(HypervisorError, match="cannot restore"):
        hypervisor.restore_domain(f"{POOL}/nothing")


def test_memory_bears_the_name_and_the_uuid_that_its_head_says(machine: Machine) -> None:
    uuid, other, hypervisor = uuid4(), uuid4(), machine.hypervisor
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    path = saved(hypervisor, uuid)
    head = Head.parse(hypervisor.download("p", "d.memory", MOST))
    assert UUID(ET.fromstring(head.document).findtext("uuid", "")) == uuid

    def rewrite(name: str, its: UUID) -> None:
        text = head.document.replace("<name>d</name>", f"<name>{name}</name>").replace(str(uuid), str(its))
        content = head.of(text).encode()
        hypervisor.upload("p", "d.memory", io.BytesIO(content), len(content))

    for name, its in (("d", other), ("e", uuid)):  # a name and a UUID that the domain has
        rewrite(name, its)
        with pytest.raises(HypervisorError, match="cannot restore"):
            hypervisor.restore_domain(path)
    assert hypervisor.domains()["d"].state is State.SHUTOFF
    rewrite("e", other)
    hypervisor.restore_domain(path)
    assert hypervisor.domains()["e"].uuid == other
    hypervisor.power_off(other)
    assert "e" not in hypervisor.domains()  # nobody had defined it


# -- networks ---------------------------------------------------------------------------------------------------


def test_a_network_is_made_once_and_removed_twice(hypervisor: Hypervisor) -> None:
    uuid = uuid4()
    hypervisor.create_network(network_xml(uuid))
    assert hypervisor.networks()["n"].active
    assert hypervisor.networks()["n"].bridge == "labtest0"
    hypervisor.start_network(uuid)
    hypervisor.create_network(network_xml(uuid))
    hypervisor.remove_network(uuid)
    hypervisor.remove_network(uuid)
    assert "n" not in hypervisor.networks()
    with pytest.raises(NotFoundError):
        hypervisor.start_network(uuid)


def test_a_name_that_another_network_bears_is_refused(hypervisor: Hypervisor) -> None:
    hypervisor.create_network(network_xml(uuid4()))
    with pytest.raises(AlreadyExistsError):
        hypervisor.create_network(network_xml(uuid4(), bridge="labtest1"))


def test_a_bridge_that_another_network_has_is_refused(machine: Machine) -> None:
    machine.hypervisor.create_network(network_xml(uuid4()))
    with pytest.raises(HypervisorError, match="cannot define a network") as caught:
        machine.hypervisor.create_network(network_xml(uuid4(), "m"))
    assert "already in use" in caught.value.details


def test_a_subnet_that_another_network_has_is_refused(machine: Machine) -> None:
    hypervisor = machine.hypervisor
    hypervisor.create_network(network_xml(uuid4(), address="192.168.233.1"))
    with pytest.raises(HypervisorError, match="cannot start network m") as caught:
        hypervisor.create_network(network_xml(uuid4(), "m", "labtest1", "192.168.233.129"))
    assert "already in use by interface labtest0" in caught.value.details
    assert [str(subnet) for subnet in hypervisor.networks()["m"].subnets] == ["192.168.233.0/24"]
    assert not hypervisor.networks()["m"].active
    hypervisor.create_network(network_xml(hypervisor.networks()["m"].uuid, "m", "labtest1", "192.168.234.1"))
    assert [str(subnet) for subnet in hypervisor.networks()["m"].subnets] == ["192.168.234.0/24"]
    assert hypervisor.networks()["m"].active


def test_a_network_is_removed_under_a_running_domain(machine: Machine) -> None:
    uuid, network, hypervisor = uuid4(), uuid4(), machine.hypervisor
    hypervisor.create_network(network_xml(network))
    hypervisor.define_domain(domain_xml(hypervisor, uuid, devices=card("n")))
    hypervisor.start_domain(uuid)
    hypervisor.remove_network(network)
    assert "n" not in hypervisor.networks()
    assert hypervisor.domains()["d"].state is State.RUNNING


def test_a_network_that_is_stopped_lets_go_of_its_cards_until_they_are_plugged_in_again(machine: Machine) -> None:
    hypervisor, network, other, uuid = machine.hypervisor, uuid4(), uuid4(), uuid4()
    own = {(uuid, "52:54:00:00:00:01")}
    hypervisor.create_network(network_xml(network))
    hypervisor.define_domain(domain_xml(hypervisor, uuid, devices=card("n")))
    assert hypervisor.plugged(network) == set()
    hypervisor.start_domain(uuid)
    assert hypervisor.plugged(network) == own
    # As `virsh net-destroy` does: the definition stays.
    machine.stop_network("n")
    hypervisor.start_network(network)
    assert hypervisor.plugged(network) == set()
    hypervisor.plug(uuid, "52:54:00:00:00:01", "n")  # libvirt takes it for plugged in: the bridge has the same name
    assert hypervisor.plugged(network) == set()
    hypervisor.create_network(network_xml(other, "o", "labtest1"))
    hypervisor.plug(uuid, "52:54:00:00:00:01", "o")
    assert (hypervisor.plugged(network), hypervisor.plugged(other)) == (set(), own)
    hypervisor.plug(uuid, "52:54:00:00:00:01", "n")
    assert (hypervisor.plugged(network), hypervisor.plugged(other)) == (own, set())
    assert hypervisor.domains()["d"].state is State.RUNNING
    with pytest.raises(NotFoundError):
        hypervisor.plug(uuid, "52:54:00:00:00:02", "n")
    with pytest.raises(NotFoundError):
        hypervisor.plugged(uuid4())
    hypervisor.power_off(uuid)
    assert hypervisor.plugged(network) == set()
    with pytest.raises(HypervisorError):
        hypervisor.plug(uuid, "52:54:00:00:00:01", "n")


def test_the_test_driver_does_not_tell_what_is_plugged_in(tmp_path: Path) -> None:
    file, network = tmp_path / "node.xml", uuid4()
    file.write_text(NODE)
    with Hypervisor(f"test://{file}") as hypervisor:
        hypervisor.create_network(network_xml(network))
        assert hypervisor.plugged(network) is None


# -- storage ----------------------------------------------------------------------------------------------------


def test_a_volume_is_refused_twice_and_removed_twice(hypervisor: Hypervisor) -> None:
    hypervisor.create_pool(xml.pool_xml("p", POOL))
    document = xml.volume_xml("v", "raw", MIB)
    assert hypervisor.create_volume("p", document).capacity == MIB
    with pytest.raises(AlreadyExistsError):
        hypervisor.create_volume("p", document)
    assert list(hypervisor.volumes("p")) == ["v"]
    hypervisor.remove_volume("p", "v")
    hypervisor.remove_volume("p", "v")
    hypervisor.remove_pool(hypervisor.pools()["p"].uuid)
    hypervisor.create_pool(xml.pool_xml("p", POOL))
    assert hypervisor.create_volume("p", document).capacity == MIB  # by that name it is another pool now
    hypervisor.remove_volume("p", "v")
    hypervisor.remove_pool(hypervisor.pools()["p"].uuid)
    hypervisor.remove_pool(uuid4())
    assert "p" not in hypervisor.pools()
    with pytest.raises(NotFoundError):
        hypervisor.volumes("p")


def test_a_pool_that_runs_may_be_started_and_read_again(hypervisor: Hypervisor) -> None:
    hypervisor.create_pool(xml.pool_xml("p", POOL))
    hypervisor.start_pool("p")
    hypervisor.refresh_pool("p")
    facts = hypervisor.pools()["p"]
    assert (facts.active, facts.path) == (True, POOL)
    assert facts.capacity >= facts.available > 0
    for call in (hypervisor.start_pool, hypervisor.refresh_pool):
        with pytest.raises(NotFoundError):
            call("q")


def test_a_pool_of_another_kind_is_refused(machine: Machine) -> None:
    with pytest.raises(HypervisorError):
        machine.hypervisor.create_pool("<pool type='tape'><name>q</name></pool>")
    with pytest.raises(AlreadyExistsError):
        machine.hypervisor.create_pool(xml.pool_xml("p", f"{private.POOL}/q"))


def test_bytes_come_back_as_they_were_written(machine: Machine) -> None:
    hypervisor, content = machine.hypervisor, os.urandom(MIB + 17)
    hypervisor.create_volume("p", xml.volume_xml("v", "raw", 2 * MIB))
    hypervisor.upload("p", "v", io.BytesIO(content), len(content))
    assert hypervisor.download("p", "v", 100) == content[:100]
    parts: list[bytes] = []
    hypervisor.fetch("p", "v", parts.append, offset=MIB)
    assert b"".join(parts) == content[MIB:].ljust(MIB, b"\0")
    digest = hypervisor.copy_volume("p", "v", xml.volume_xml("w", "raw", 0))
    assert digest == hashlib.sha256(content.ljust(2 * MIB, b"\0")).hexdigest()
    assert hypervisor.download("p", "w", 3 * MIB) == content.ljust(2 * MIB, b"\0")
    with pytest.raises(AlreadyExistsError):
        hypervisor.copy_volume("p", "v", xml.volume_xml("w", "raw", 0))
    for call in (hypervisor.download, lambda pool, name, _: hypervisor.fetch(pool, name, parts.append)):
        with pytest.raises(NotFoundError):
            call("p", "x", 1)


def test_a_volume_is_made_with_its_content(machine: Machine) -> None:
    hypervisor, content = machine.hypervisor, os.urandom(MIB)
    hypervisor.make_volume("p", xml.volume_xml("v", "raw", len(content)), content)
    assert hypervisor.download("p", "v", 2 * MIB) == content
    hypervisor.make_volume("p", xml.volume_xml("w", "raw", 0))
    assert hypervisor.volumes("p")["w"].capacity == 0
    with pytest.raises(AlreadyExistsError):
        hypervisor.make_volume("p", xml.volume_xml("v", "raw", len(content)), content)


def test_more_bytes_than_were_announced_are_refused(machine: Machine) -> None:
    hypervisor = machine.hypervisor
    hypervisor.create_volume("p", xml.volume_xml("v", "raw", MIB))
    with pytest.raises(CapacityError):
        hypervisor.upload("p", "v", io.BytesIO(bytes(MIB)), 1000)


def test_an_overlay_names_what_it_stands_on(machine: Machine) -> None:
    hypervisor = machine.hypervisor
    base = hypervisor.create_volume("p", xml.volume_xml("base", "qcow2", 2 * MIB))
    assert (base.format, base.capacity, base.backing) == ("qcow2", 2 * MIB, None)
    made = hypervisor.create_volume("p", overlay_xml("top", base.path))
    assert (made.format, made.capacity, made.backing) == ("qcow2", 4 * MIB, base.path)
    assert hypervisor.volumes("p")["top"] == made
    with pytest.raises(HypervisorError) as caught:
        hypervisor.create_volume("p", overlay_xml("other", f"{POOL}/nothing"))
    assert "No such file or directory" in caught.value.details
    assert "other" not in hypervisor.volumes("p")


def test_an_uploaded_image_is_seen_for_what_it_is(machine: Machine) -> None:
    hypervisor = machine.hypervisor
    base = hypervisor.create_volume("p", xml.volume_xml("base", "qcow2", 2 * MIB))
    content = qcow2(8 * MIB, base.path)
    hypervisor.create_volume("p", xml.volume_xml("v", "raw", len(content)))
    hypervisor.upload("p", "v", io.BytesIO(content), len(content))
    facts = hypervisor.volumes("p")["v"]
    assert (facts.format, facts.capacity, facts.backing) == ("qcow2", 8 * MIB, base.path)


def test_a_volume_that_somebody_deleted_is_told(machine: Machine) -> None:
    hypervisor = machine.hypervisor
    path = hypervisor.create_volume("p", xml.volume_xml("v", "raw", 0)).path
    machine.delete(path)
    with pytest.raises(HypervisorError):
        hypervisor.download("p", "v", 1)
    hypervisor.refresh_pool("p")
    assert "v" not in hypervisor.volumes("p")
    assert hypervisor.create_volume("p", xml.volume_xml("v", "raw", 0)).path == path


def test_a_file_that_the_pool_has_not_seen_is_listed_when_it_is_read_again(machine: Machine) -> None:
    uuid, hypervisor = uuid4(), machine.hypervisor
    hypervisor.define_domain(domain_xml(hypervisor, uuid))
    hypervisor.start_domain(uuid)
    hypervisor.save_domain(uuid, f"{POOL}/unseen")
    assert "unseen" not in hypervisor.volumes("p")
    with pytest.raises(HypervisorError):
        hypervisor.create_volume("p", xml.volume_xml("unseen", "raw", 0))
    hypervisor.refresh_pool("p")
    assert "unseen" in hypervisor.volumes("p")


def test_a_pool_that_is_not_empty_stays(machine: Machine) -> None:
    hypervisor = machine.hypervisor
    hypervisor.create_volume("p", xml.volume_xml("v", "raw", 0))
    with pytest.raises(HypervisorError, match="cannot remove storage pool"):
        hypervisor.remove_pool(hypervisor.pools()["p"].uuid)
    assert not hypervisor.pools()["p"].active
    for call in (hypervisor.volumes, hypervisor.refresh_pool):
        with pytest.raises(HypervisorError):
            call("p")
    with pytest.raises(HypervisorError):
        hypervisor.create_volume("p", xml.volume_xml("w", "raw", 0))
    with pytest.raises(HypervisorError):
        hypervisor.remove_volume("p", "v")
    hypervisor.start_pool("p")
    assert list(hypervisor.volumes("p")) == ["v"]
