"""How often commands ask a host: with many labs on it, about as often as with one."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any, cast
from uuid import UUID

import libvirt
import pytest
from netaddr import IPNetwork

from labctl.errors import RemoteError
from labctl.hypervisor import DomainFacts, Hypervisor, Listing, link
from labctl.hypervisor.fake import FakeHypervisor
from labctl.images.store import Image, Manifest
from labctl.lab import demolition, nodes, overview, status
from labctl.remote.dial import Dialer
from labctl.render import xml
from labctl.render.seed import SeedKeys
from labctl.render.xml import Machine
from labctl.sets.sources import SourcedLab
from labctl.site import networks, room
from labctl.site.site import Site
from labctl.spec import topology
from labctl.spec.host import Host
from labctl.state import Home, LabRecord, records
from labctl.state.ledger import Ledger
from labctl.state.records import Lab
from tests.unit.fake_site import World

LABS = 20
MACHINE = Machine(virt="qemu", volumes=PurePosixPath("/labs"))
MANIFEST = Manifest(name="debian-13", sha256="", size=1, virtual_size=1, os_info="", created="", source="")
NODE = "<node><cpu><mhz>1000</mhz><model>x86_64</model><num>2</num></cpu><memory>419430400</memory></node>"
# What libvirt's library answers by itself; a connection stays open, for the driver forgets all with it.
LOCAL = {"name", "UUID", "UUIDString"}


class Counting:
    """A libvirt object, or what a call of one returned: counts the calls that go to the host."""

    def __init__(self, thing: Any, calls: Counter[str]) -> None:
        self._thing, self._calls = thing, calls

    def __getattr__(self, name: str) -> Any:
        if name in ("newStream", "upload"):  # which the test driver lacks; opening a stream asks nobody
            self._calls[name] += name == "upload"
            return lambda *_: Stream(self._calls)
        called = getattr(self._thing, name)

        def call(*arguments: Any) -> Any:
            if name == "close":
                return 0
            if name not in LOCAL:
                self._calls[name] += 1
            if name == "defineXML":  # the test driver's domains have a type of their own
                arguments = (arguments[0].replace('<domain type="qemu">', '<domain type="test">'),)
            return counted(called(*(getattr(each, "_thing", each) for each in arguments)), self._calls)

        return call


class Stream:
    """Bytes on their way to the host; they are sent without an answer, but for the end."""

    def __init__(self, calls: Counter[str]) -> None:
        self._calls = calls

    def send(self, content: bytes) -> int:
        return len(content)

    def finish(self) -> None:
        self._calls["finish"] += 1


def counted(answer: Any, calls: Counter[str]) -> Any:
    """Return an answer of libvirt whose objects count."""
    if isinstance(answer, list | tuple):
        return type(answer)(counted(each, calls) for each in answer)
    return Counting(answer, calls) if type(answer).__module__ == "libvirt" else answer


class Nowhere:
    """A dialer that reaches nobody, and sends nothing."""

    def connect(self, host: str, port: int, *, timeout: float) -> Any:
        raise RemoteError(f"{host} is nowhere")

    def routes(self) -> list[IPNetwork]:
        return []


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Iterator[Counter[str]]:
    """Count what is asked of libvirt's test driver."""
    file = tmp_path / "node.xml"
    file.write_text(NODE)
    counter: Counter[str] = Counter()
    driver = libvirt.open(f"test://{file}")
    monkeypatch.setattr(link, "_opened", lambda _: Counting(driver, counter))
    yield counter
    driver.close()


@pytest.fixture
def home(calls: Counter[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> Home:
    """Return an installation with twenty labs of topology gridka; all of their nodes run."""
    monkeypatch.setenv("LABCTL_HOME", str(tmp_path / "home"))
    home = Home()
    driver = link._opened("")._thing
    driver.storagePoolCreateXML("<pool type='dir'><name>labctl</name><target><path>/labs</path></target></pool>")
    pool = driver.storagePoolLookupByName("labctl")
    gridka = topology.load("gridka")
    for number in range(LABS):
        record = LabRecord(
            team=f"team{number:02}",
            lab=UUID(int=number, version=4),
            owner=home.owner,
            host="test:///default",
            mgmt=IPNetwork(f"192.168.{128 + number}.0/24"),
            topology=gridka.document(),
            digest=gridka.digest,
            stage="bare",
            virt="qemu",
        )
        plan = records.plan_of(record)
        volumes = tuple(sorted(set().union(*(node.volumes for node in plan.nodes))))
        ready = {node.name: node.generation for node in plan.nodes}
        home.lab(record.team).save(replace(record, volumes=volumes, ready=ready))
        for network in plan.networks:
            driver.networkDefineXML(xml.network_xml(network, plan)).create()
        for volume in volumes:
            pool.createXML(xml.volume_xml(volume, "qcow2", 4096))
        for node in plan.nodes:
            document = ET.fromstring(xml.domain_xml(node, plan, machine=MACHINE))
            document.set("type", "test")
            driver.createXML(ET.tostring(document, encoding="unicode"))
    calls.clear()
    return home


def host(home: Home) -> Site:
    """Connect anew, as each command does."""
    return Site("test:///default", Host(), Hypervisor("test:///default"), cast(Dialer, Nowhere()), "qemu")


def test_a_list_of_twenty_labs_is_a_few_calls(home: Home, calls: Counter[str]) -> None:
    lines = overview.labs(home)
    assert [line.states for line in lines] == [("running",) * 8] * LABS
    assert calls.total() <= 5, calls


def test_the_status_of_one_lab_asks_for_no_other(home: Home, calls: Counter[str]) -> None:
    shown = status.status(home, host(home), "team01")
    assert [node.state for node in shown.nodes] == ["running"] * 8
    assert calls.total() <= 60, calls


def test_what_a_reset_looks_at_is_its_own_lab(home: Home, calls: Counter[str]) -> None:
    record = records.record_of(home, "team01")
    place, plan = host(home), records.plan_of(record)
    nodes.refuse_foreign(place, [Lab(plan=plan, record=record)])
    room.reserve(home, place, [plan], overcommit=False, held=None)
    assert calls.total() <= 60, calls


def test_a_node_is_made_and_started_with_a_call_for_each_thing(home: Home, calls: Counter[str]) -> None:
    """Each volume, the seed's content and its end, the domain, its start, its going on; a second disk is one more."""
    record = replace(records.record_of(home, "team01"), team="other", lab=UUID(int=99, version=4))
    plan, place = records.plan_of(record), host(home)
    base = Image(manifest=MANIFEST, volume="base", path="/labs/base")
    lab = SourcedLab(plan=plan, record=record, images={"debian-13": base})
    keys = SeedKeys(authorized=("a",), host_private="b", host_public="c", known_hosts="d")
    assert place.volumes
    calls.clear()
    for name, disks in (("db-node", 1), ("volume-node", 2)):
        node = plan.node(name)
        nodes.make_node(place, Ledger(home.lab("other"), record), lab, node, keys)
        place.hypervisor.start_domain(node.uuid)  # the test driver starts none paused
        place.hypervisor.suspend_domain(node.uuid)
        place.hypervisor.resume_domain(node.uuid)
        assert calls["createXML"] == disks + 2
        del calls["state"], calls["suspend"]
        assert calls.total() <= disks + 2 + 2 + 3, calls
        calls.clear()


def test_what_is_asked_for_once_keeps_no_connection_open() -> None:
    hypervisor = Hypervisor("test:///default")
    (uuid,) = (uuid for _, uuid in hypervisor.states())
    assert hypervisor.domain(uuid) is not None
    hypervisor.start_pool("default-pool")
    left = []
    close = hypervisor._connection.close
    hypervisor._connection.close = lambda: left.append(close())
    hypervisor.close()
    assert left == [0]


def test_networks_of_a_new_lab_are_asked_for_no_cards(home: Home, calls: Counter[str]) -> None:
    record = replace(records.record_of(home, "team01"), team="other", lab=UUID(int=99, version=4))
    record = replace(record, mgmt=IPNetwork("192.168.250.0/24"))
    plan, place = records.plan_of(record), host(home)
    assert len(place.networks) + len(place.domains) == LABS * (4 + 8)
    calls.clear()
    for network in plan.networks:
        assert networks.make(place, plan, network)
        assert networks.plug(place, plan, network) == []
    assert calls == {"networkDefineXML": 4, "create": 4}


def test_whose_disks_are_in_use_is_asked_of_all_domains_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the fake hypervisor: the test driver tells nothing of disks."""
    for team in ("red", "blue", "green"):
        world.create(team)
    read: list[str] = []
    listed = FakeHypervisor.domains

    def domains(self: FakeHypervisor) -> Listing[DomainFacts]:
        every = listed(self)
        return Listing(dict.fromkeys(every), lambda name: read.append(name) or every.get(name))  # type: ignore[func-returns-value]

    monkeypatch.setattr(FakeHypervisor, "domains", domains)
    plan = records.plan_of(records.record_of(world.home, "red"))
    demolition.refuse_used(world.site(), plan, plan.nodes[:1])
    assert read == ["red-node-1"]
