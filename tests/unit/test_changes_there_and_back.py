"""Changes of what is no file: each is seen, made, made again, and undone; what somebody else did meanwhile is left."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shlex
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from labctl.changes import (
    Change,
    Context,
    Crowd,
    DropIn,
    LogicalVolume,
    Member,
    Outcome,
    Record,
    Refusal,
    Rotten,
    RouterSetting,
    SwitchPort,
    Thing,
    Unmapped,
)
from labctl.changes import undo as undoing
from labctl.changes.kinds import KINDS
from labctl.errors import InputError, RemoteError
from labctl.guest import Result
from labctl.guest.fake import FakeGuest

MIB = 1024**2
BLOCK = bytes(range(256)) * 16


class World:
    """A node with a packet filter, volumes, bridges, groups, images, cells and a database, and its cloud."""

    def __init__(self) -> None:
        self.rules: list[str] = []
        self.free, self.volumes = 19 * 1024 * MIB, {"cinder-volumes/volume-1"}
        self.ports = {"br100": {"eth2", "tap1"}}
        self.groups = {"libvirt": ["nova", "anna"]}
        self.cells = {"compute-1": "c1", "compute-2": "c1"}
        self.forward = "1"
        self.most, self.inside, self.put_out = "500", 41, ""
        self.blocks = {self.path("store"): BLOCK, self.path("base"): BLOCK}
        self.aggregates: dict[str, Any] = {}
        self.ratio = 4.0
        self.subnets: dict[str, str] = {}
        self.given = ["172.61.1.7", "172.16.1.9"]
        self.image = SimpleNamespace(id="i1", visibility="public", min_ram=0, status="active", architecture=None)
        self.image.hypervisor_type = None
        self.guest = FakeGuest(
            answers={
                "command -v iptables .*": 0,
                r"iptables -w 10 -(C|I|D) INPUT (.*?)( 2>/dev/null)?": self.iptables,
                "vgs .* cinder-volumes": lambda line, stdin: f"  {self.free}\n",
                "vgs .*": 5,
                "lvs .*": lambda line, stdin: 0 if line.split()[1] in self.volumes else 5,
                "lvcreate .*": self.lvcreate,
                "lvremove .*": self.lvremove,
                "ovs-vsctl .*": self.vsctl,
                "getent group .*": self.getent,
                "set -e; group=.*gpasswd.*": self.gpasswd,
                "ip netns exec qrouter-r1 sysctl .*": self.sysctl,
                "runuser -u nova -- nova-manage cell_v2 .*": self.manage,
                "(ss -K .*; )?mariadb.*": self.mariadb,
                "head -c 4096 .*": self.head,
                "set -e; then=.* dd of=.*": self.dd,
                r"then=.*(mkdir|daemon-reload).*": 0,
            }
        )
        self.network = SimpleNamespace(find_router=self.find_router, find_network=self.find_network, ips=self.ips)
        self.network.subnets, self.network.create_subnet = self.list_subnets, self.create_subnet
        self.network.delete_subnet, self.network.delete_ip = self.delete_subnet, self.delete_ip
        self.image_api = SimpleNamespace(find_image=lambda name, **_: self.image if name == "instance" else None)
        self.image_api.update_image = lambda image, **values: vars(image).update(values)
        self.image_api.patch = self.patch

    def path(self, place: str) -> str:
        name = hashlib.sha1(b"i1", usedforsecurity=False).hexdigest()
        return "/var/lib/glance/images/i1" if place == "store" else f"/var/lib/nova/instances/_base/{name}"

    def context(self) -> Context:
        admin = SimpleNamespace(compute=self, network=self.network, placement=self, image=self.image_api)
        door = SimpleNamespace(admin=admin, translated=lambda do: do())
        return Context(guest=self.guest, say=lambda line: None, cloud=door)  # type: ignore[arg-type]

    def look(self) -> str:
        """Return how everything is."""
        tools = ("guest", "image_api", "network", "put_out", "inside")
        mine = {key: value for key, value in vars(self).items() if key not in tools}
        files = {path: (file.content, file.mode) for path, file in self.guest.files.items()}
        return repr((mine, files, self.aggregates))

    def iptables(self, line: str, stdin: bytes) -> int:
        verb, rule = line.split()[3], line.partition(" INPUT ")[2].removesuffix(" 2>/dev/null")
        if verb == "-I":
            self.rules.insert(0, rule)
        elif rule not in self.rules:
            return 1
        elif verb == "-D":
            self.rules.remove(rule)
        return 0

    def lvcreate(self, line: str, stdin: bytes) -> int:
        words = line.removesuffix(" 2>/dev/null").split()
        assert {"-an", "-Wn", "-Zn"} <= set(words), "no device is made that would be wiped"
        self.free -= int(words[words.index("-L") + 1].removesuffix("b"))
        self.volumes.add(f"{words[-1]}/{words[-2]}")
        return 0

    def lvremove(self, line: str, stdin: bytes) -> int:
        self.volumes.remove(line.split()[-1])
        self.free = 19 * 1024 * MIB
        return 0

    def vsctl(self, line: str, stdin: bytes) -> Result | str | int:
        words = [word for word in line.split()[1:] if not word.startswith("--")]
        if words[1] not in self.ports:
            return 1
        if words[0] == "list-ports":
            return "\n".join(sorted(self.ports[words[1]]))
        (self.ports[words[1]].add if words[0] == "add-port" else self.ports[words[1]].discard)(words[2])
        return 0

    def getent(self, line: str, stdin: bytes) -> str | int:
        name = line.split()[2]
        return f"{name}:x:115:{','.join(self.groups[name])}\n" if name in self.groups else 2

    def gpasswd(self, line: str, stdin: bytes) -> int:
        verb, user, group = re.search(r"gpasswd (-[ad]) (\S+) (\S+)", line).groups()  # type: ignore[union-attr]
        if verb == "-d":
            self.groups[group].remove(user)
        else:
            self.groups[group].insert(0, user)
        return 0

    def sysctl(self, line: str, stdin: bytes) -> str:
        if "=" in line:
            self.forward = line.rpartition("=")[2]
        return f"{self.forward}\n"

    def manage(self, line: str, stdin: bytes) -> str | int:
        words = shlex.split(line)
        if "list_hosts" in words:
            rows = "".join(f"|  cell1  | {cell} | {host} |\n" for host, cell in self.cells.items())
            return f"+---+\n| Cell Name | Cell UUID | Hostname |\n+---+\n{rows}+---+\n"
        if "delete_host" in words:
            assert self.cells.pop(words[-1]) == words[-3]
        else:
            self.cells = {"compute-1": "c1", "compute-2": "c1"}
        return 0

    def mariadb(self, line: str, stdin: bytes) -> Result | str | int:
        said = stdin.decode()
        if line.startswith("ss -K"):
            self.inside = 0
        if self.inside > int(self.most):
            return Result(exit_code=1, stdout="", stderr="ERROR 1040 (08004): Too many connections\n")
        if said == "SELECT @@GLOBAL.`max_connections`;":
            return f"{self.most}\n"
        if "PROCESSLIST" in said:
            return "nova\nglance\n"
        found = re.fullmatch(r"SET GLOBAL `max_connections` = (\d+);(.*)", said)
        assert found
        self.most, self.put_out = found[1], found[2].strip()
        if self.put_out:
            self.inside = 0
        return 0

    def head(self, line: str, stdin: bytes) -> str:
        path = line.split()[3]
        return base64.b64encode(self.blocks.get(path, b"")).decode()

    def dd(self, line: str, stdin: bytes) -> int:
        path = re.search(r" of=(\S+) ", line)[1]  # type: ignore[index]
        assert "conv=notrunc" in line
        self.blocks[path] = base64.b64decode(stdin)
        return 0

    # the cloud

    def find_router(self, name: str) -> Any:
        return SimpleNamespace(id="r1") if name == "router1" else None

    def find_aggregate(self, name: str) -> Any:
        return self.aggregates.get(name)

    def create_aggregate(self, name: str) -> Any:
        self.aggregates[name] = SimpleNamespace(name=name, hosts=None, metadata=None)
        return self.aggregates[name]

    def add_host_to_aggregate(self, found: Any, host: str) -> None:
        found.hosts = [*(found.hosts or ()), host]

    def remove_host_from_aggregate(self, found: Any, host: str) -> None:
        found.hosts = [each for each in found.hosts if each != host]

    def set_aggregate_metadata(self, found: Any, said: dict[str, Any]) -> None:
        found.metadata = {key: value for key, value in {**(found.metadata or {}), **said}.items() if value is not None}

    def delete_aggregate(self, found: Any) -> None:
        assert not found.hosts, "Nova refuses to delete one with hosts"
        del self.aggregates[found.name]

    def resource_providers(self) -> list[Any]:
        return [SimpleNamespace(name="compute-1", id="p1")]

    def get(self, path: str) -> Any:
        assert path == "/resource_providers/p1/inventories/MEMORY_MB"
        return answer({"allocation_ratio": self.ratio, "total": 2048, "resource_provider_generation": 7})

    def put(self, path: str, json: dict[str, Any]) -> Any:
        assert (json["total"], json["resource_provider_generation"]) == (2048, 7)
        self.ratio = json["allocation_ratio"]
        return answer({})

    def find_network(self, name: str) -> Any:
        return SimpleNamespace(id="n1") if name == "public" else None

    def list_subnets(self, network_id: str, name: str) -> list[Any]:
        assert network_id == "n1"
        return [SimpleNamespace(name=name, cidr=self.subnets[name])] if name in self.subnets else []

    def create_subnet(self, name: str, cidr: str, **more: Any) -> None:
        self.subnets[name] = cidr

    def delete_subnet(self, found: Any) -> None:
        assert "172.61.1.7" not in self.given, "Neutron refuses while an address is in use"
        del self.subnets[found.name]

    def ips(self) -> list[Any]:
        return [SimpleNamespace(floating_ip_address=each) for each in self.given]

    def delete_ip(self, found: Any) -> None:
        self.given.remove(found.floating_ip_address)

    def patch(self, path: str, json: list[dict[str, str]], headers: dict[str, str]) -> Any:
        assert path == "/images/i1"
        assert headers["Content-Type"].endswith("json-patch")
        for each in json:
            assert each["op"] == "remove"
            setattr(self.image, each["path"][1:], None)
        return answer({})


def answer(document: dict[str, Any]) -> Any:
    return SimpleNamespace(raise_for_status=lambda: None, json=lambda: document)


CHANGES = [
    Refusal(source="10.0.0.6", port=3306),
    Refusal(source="10.0.0.20", port=3260, answer="drop"),
    LogicalVolume(group="cinder-volumes", name="volume-2", left=512),
    SwitchPort(bridge="br100", card="eth2"),
    Member(group="libvirt", user="nova"),
    RouterSetting(router="router1", setting="net.ipv4.ip_forward", value="0"),
    Unmapped(host="compute-2"),
    Crowd(most=10),
    Rotten(place="store", image="instance"),
    Rotten(place="base", image="instance"),
    DropIn(unit="nova-conductor.service", name="10-limits", values={"Service": {"MemoryMax": "64M"}}),
    Thing(name="image instance", values={"architecture": "aarch64"}),
    Thing(name="aggregate partners", values={"hosts": ["a", "b"], "metadata": {"filter_tenant_id": "f00"}}),
    Thing(name="ratio compute-1 MEMORY_MB", values={"ratio": 0.01}),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda each: f"{type(each).__name__} {each.target}")
def test_a_change_is_made_undone_and_made_again(change: Change) -> None:
    world = World()
    place, before = world.context(), world.look()
    planned = undoing.record(change, place)
    assert world.look() == before, "looking changes nothing"
    made = undoing.act(Record.of(json.loads(json.dumps(planned.document()))), place)
    broken = world.look()
    assert broken != before
    assert undoing.difference(made)
    assert undoing.undo(made, place) is Outcome.RESTORED
    assert world.look() == before
    assert undoing.undo(made, place) is Outcome.MENDED
    undoing.again(made, place)
    assert world.look() == broken
    assert undoing.undo(made, place) is Outcome.RESTORED
    assert world.look() == before
    assert undoing.undo(planned, place) is Outcome.MENDED, "what was planned and never done"
    assert change.describe()


def test_all_kinds_of_things_are_known_by_their_names() -> None:
    assert {change.kind.name for change in CHANGES} <= set(KINDS)


def test_more_addresses_are_taken_away_with_those_that_somebody_got() -> None:
    world = World()
    place = world.context()
    change = Thing(name="more-addresses public public-2", values={"cidr": "172.61.1.0/24"})
    made = undoing.act(undoing.record(change, place), place)
    assert world.subnets == {"public-2": "172.61.1.0/24"}
    assert undoing.undo(made, place) is Outcome.RESTORED
    assert world.subnets == {}
    assert world.given == ["172.16.1.9"]


@pytest.mark.parametrize(
    ("change", "spoil", "why"),
    [
        (
            Refusal(source="10.0.0.6", port=3306),
            lambda world: world.guest.answers.update({"command .*": 1}),
            "iptables",
        ),
        (SwitchPort(bridge="br-ex", card="eth1"), None, "no bridge"),
        (SwitchPort(bridge="br100", card="eth1"), None, "no port"),
        (Member(group="wheel", user="nova"), None, "no group"),
        (Member(group="libvirt", user="glance"), None, "not in the group"),
        (LogicalVolume(group="other", name="x", left=1), None, "no volume group"),
        (LogicalVolume(group="cinder-volumes", name="volume-1", left=1), None, "no room"),
        (LogicalVolume(group="cinder-volumes", name="x", left=10**6), None, "no room"),
        (RouterSetting(router="router2", setting="x", value="0"), None, "no router"),
        (RouterSetting(router="router1", setting="x", value="1"), None, "already"),
        (Unmapped(host="compute-9"), None, "in no cell"),
        (Crowd(most=500), None, "lets in 500"),
        (Rotten(place="store", image="other"), None, "no image"),
        (Rotten(place="base", image="instance"), lambda world: world.blocks.clear(), "there is no"),
        (Thing(name="ratio compute-9 VCPU", values={"ratio": 1}), None, "no resource provider"),
    ],
    ids=lambda each: each.__name__ if callable(each) else str(each),
)
def test_a_change_that_cannot_be_made_is_refused(
    change: Change, spoil: Callable[[World], Any] | None, why: str
) -> None:
    world = World()
    if spoil is not None:
        spoil(world)
        world.guest.answers = dict(reversed(world.guest.answers.items()))
    before = world.look()
    with pytest.raises(InputError, match=why):
        undoing.record(change, world.context())
    assert world.look() == before


def test_an_image_that_was_made_anew_is_left() -> None:
    world = World()
    made = undoing.act(undoing.record(Rotten(place="store", image="instance"), world.context()), world.context())
    world.image.id = "i2"
    world.blocks["/var/lib/glance/images/i2"] = BLOCK
    assert undoing.undo(made, world.context()) is Outcome.FOREIGN
    with pytest.raises(RemoteError, match="not the image's file any more"):
        undoing.again(made, world.context())


def test_who_is_in_is_put_out_only_when_fewer_may_be() -> None:
    world = World()
    made = undoing.act(undoing.record(Crowd(most=10), world.context()), world.context())
    assert world.put_out == "KILL USER 'nova'; KILL USER 'glance';"
    undoing.undo(made, world.context())
    assert world.put_out == ""


def test_root_gets_into_a_database_that_is_full() -> None:
    world = World()
    made = undoing.act(undoing.record(Crowd(most=10), world.context()), world.context())
    world.inside = 41  # as if they had not been put out
    assert undoing.undo(made, world.context()) is Outcome.RESTORED
    assert world.most == "500"
    world.guest.answers = {
        "ss -K .*": Result(exit_code=1, stdout="", stderr="Too many connections"),
        **world.guest.answers,
    }
    world.most, world.inside = "10", 41
    with pytest.raises(RemoteError, match="does not say"):
        undoing.undo(made, world.context())


def test_an_aggregate_that_a_team_mended_by_hand_is_left() -> None:
    world = World()
    change = Thing(name="aggregate partners", values={"hosts": ["a"], "metadata": {"filter_tenant_id": "f00"}})
    made = undoing.act(undoing.record(change, world.context()), world.context())
    world.aggregates["partners"].metadata = {}
    assert undoing.undo(made, world.context()) is Outcome.FOREIGN
