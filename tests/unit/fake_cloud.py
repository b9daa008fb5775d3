"""A cloud that answers as a healthy one, on one port of this machine, and can be broken door by door; strict."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from netaddr import IPNetwork

from labctl.checks.canary import Canary
from labctl.checks.check import Subject
from labctl.checks.cloud import SERVICES, Cloud
from labctl.checks.made import Made
from labctl.cloud.cloud import Cloud as Planned
from labctl.cloud.connect import Login
from labctl.errors import LabctlError
from labctl.guest.fake import FakeGuest
from labctl.plan.lab import plan
from labctl.plan.model import Identity
from labctl.spec import topology
from tests.unit import fake_names

IDENTITY = Identity(team="team01", lab=UUID(int=1), owner=UUID(int=2), mgmt=IPNetwork("192.168.99.0/24"))
MORE = ("gnocchi", "ceilometer", "aodh", "designate", "ec2")
"""Roles that allinone does not have."""
PUBLIC, INTERNAL = "allinone.example.org", "10.0.0.3"
PATHS = {
    "keystone": "/v3",
    "nova": "/v2.1",
    "cinder": "/v3/p",
    "heat": "/v1/p",
    "heat-cfn": "/v1",
    "swift": "/v1/AUTH_p",
    "ceph-rgw": "/swift/v1/AUTH_p",
    "glance": "",
    "neutron": "",
    "placement": "",
    "gnocchi": "",
    "aodh": "",
    "designate": "",
    "ec2": "/services/Cloud",
}

Answer = tuple[int, Any]


@dataclass
class FakeCloud:
    """The cloud of allinone.

    Attributes:
        broken: port to the status of every answer there, or the dialer's error.
        answers: method, port and path to what comes instead.
        absent: services that the catalogue lacks.
        age: seconds since the services reported, by program.
        asked: method, port and path of every request.
        unknown: those that it has no answer to.
        canary: the canary that the lab knows.
        says: what an instance answers when its marker file is read.
        roles: of the only node; empty for all.
        old: seconds since what it shows was written.
        names: what its name server knows, and the addresses.
    """

    server: ThreadingHTTPServer
    broken: dict[int, int | LabctlError] = field(default_factory=dict)
    answers: dict[tuple[str, int, str], Answer | Callable[[bytes], Answer]] = field(default_factory=dict)
    absent: set[str] = field(default_factory=set)
    age: dict[str, float] = field(default_factory=dict)
    asked: list[tuple[str, int, str]] = field(default_factory=list)
    unknown: list[tuple[str, int, str]] = field(default_factory=list)
    record: list[str] = field(default_factory=list)
    canary: Canary | None = None
    says: str = ""
    roles: tuple[str, ...] = ()
    old: float = 0.0
    names: dict[str, str] = field(default_factory=dict)

    def open(self, name: str, port: int, *, timeout: float) -> socket.socket:
        if isinstance(found := self.broken.get(port), LabctlError):
            raise found
        if port == 22:
            ours, theirs = socket.socketpair()
            theirs.sendall(b"SSH-2.0-fake\r\n")
            theirs.close()
            return ours
        if port == 53:
            return fake_names.asked(self.names)
        return socket.create_connection(("127.0.0.1", self.server.server_port), timeout=timeout)

    def address(self, name: str) -> str:
        return {PUBLIC: "172.16.0.3"}.get(name, name)

    def answer(self, method: str, port: int, path: str, body: bytes) -> Answer:
        self.asked.append((method, port, path))
        if isinstance(status := self.broken.get(port), int):
            return status, {"error": {"message": "broken"}}
        given = self.answers.get((method, port, path))
        if callable(given):
            return given(body)
        found = given or self._healthy(method, port, path)
        if found is None:
            self.unknown.append((method, port, path))
            return 404, {"error": {"message": f"no answer to {path}"}}
        return found

    def _healthy(self, method: str, port: int, path: str) -> Answer | None:
        if method != "GET":
            return (201, {"token": self.token()}) if (port, path) == (5000, "/v3/auth/tokens") else None
        if path == "/":
            return _ROOTS.get(port, (300, {"versions": []}))
        if port == 6080 and path == "/vnc_lite.html":
            return 200, {}
        known: dict[tuple[int, str], Any] = {
            (5000, "/v3"): {"version": _version("v3.14", 5000, "/v3/")},
            (8774, "/v2.1"): {"version": _version("v2.1", 8774, "/v2.1/") | {"version": "2.96", "min_version": "2.1"}},
            (8774, "/v2.1/flavors/detail"): {"flavors": []},
            (8774, "/v2.1/servers"): {"servers": []},
            (8774, "/v2.1/servers/detail"): {"servers": []},
            (8774, "/v2.1/os-services"): {"services": self._services("nova", "status", "updated_at")},
            (8774, "/v2.1/os-hypervisors"): {"hypervisors": [{"id": "h", "hypervisor_hostname": "allinone"}]},
            (9292, "/v2/images"): {"images": []},
            (9696, "/v2.0/networks"): {"networks": []},
            (9696, "/v2.0/agents"): {"agents": self._agents()},
            (8776, "/v3/p/volumes"): {"volumes": []},
            (8776, "/v3/p/os-services"): {"services": self._services("cinder", "status", "updated_at")},
            (8776, "/v3/p/scheduler-stats/get_pools"): {
                "pools": [{"name": "allinone@lvm#lvm", "capabilities": {"free_capacity_gb": 19.0}}]
            },
            (8776, "/v3"): {"version": _version("v3.0", 8776, "/v3/") | {"version": "3.71", "min_version": "3.0"}},
            (8778, "/resource_providers"): {"resource_providers": [{"uuid": "r", "name": "allinone"}]},
            (8778, "/resource_providers/r/inventories"): {"inventories": _ROOM},
            (8778, "/resource_providers/r/usages"): {"usages": {}},
            (8004, "/v1/p/stacks"): {"stacks": []},
        }
        return (200, known[port, path]) if (port, path) in known else None

    def token(self) -> dict[str, Any]:
        """Return what Keystone tells about every token."""

        def endpoint(name: str, interface: str, host: str) -> dict[str, str]:
            url = f"http://{host}:{SERVICES[name].port}{PATHS[name]}"
            return {"id": f"{name}-{interface}", "interface": interface, "region_id": "RegionOne", "url": url} | {
                "region": "RegionOne"
            }

        catalog = [
            {
                "id": name,
                "name": name,
                "type": each.type,
                "endpoints": [endpoint(name, "public", PUBLIC), endpoint(name, "internal", INTERNAL)],
            }
            for name, each in SERVICES.items()
            if name not in self.absent
        ]
        domain = {"id": "default", "name": "Default"}
        return {
            "methods": ["password"],
            "expires_at": (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000000Z"),
            "issued_at": "2020-01-01T00:00:00.000000Z",
            "user": {"id": "u", "name": "demo", "domain": domain},
            "project": {"id": "p", "name": "demo", "domain": domain},
            "roles": [{"id": "r", "name": "member"}],
            "catalog": catalog,
        }

    def _services(self, service: str, state: str, at: str) -> list[dict[str, Any]]:
        programs = {
            "nova": {"nova-conductor": "", "nova-scheduler": "", "nova-compute": ""},
            "cinder": {"cinder-scheduler": "", "cinder-volume": "@lvm"},
        }[service]
        return [
            {"id": name, "binary": name, "host": f"allinone{end}", state: "enabled", at: self._at(name)}
            for name, end in programs.items()
            if name not in self.absent
        ]

    def _agents(self) -> list[dict[str, Any]]:
        programs = ("neutron-openvswitch-agent", "neutron-l3-agent", "neutron-dhcp-agent", "neutron-metadata-agent")
        return [
            {
                "id": name,
                "binary": name,
                "host": "allinone",
                "admin_state_up": True,
                "alive": True,
                "heartbeat_timestamp": self._at(name).replace("T", " "),
                "configurations": {"bridge_mappings": {"private": "br100", "external": "br-ex"}},
            }
            for name in programs
            if name not in self.absent
        ]

    def _at(self, name: str) -> str:
        return (datetime.now(UTC) - timedelta(seconds=self.age.get(name, 1))).strftime("%Y-%m-%dT%H:%M:%S.000000")

    def subject(self, **changes: Any) -> Subject:
        """Return the lab as checks see it."""
        lab = plan(topology.load("allinone"), IDENTITY, stage="installed")
        roles = self.roles or (*lab.nodes[0].roles, "heat-cfn", "swift", "swift-storage", *MORE)
        nodes = (replace(node, roles=roles) for node in lab.nodes)
        lab = replace(lab, nodes=tuple(nodes))
        login = Login(
            auth_url=f"http://{PUBLIC}:5000/v3", username="demo", password="secret", project="demo", region="RegionOne"
        )

        def logins(user: str) -> Login:
            return replace(login, username=user, project=user)

        made = Made(
            "run1",
            read=lambda: self.record[-1] if self.record else None,
            write=self.record.append,
            patience=1,
        )
        cloud = Cloud(
            planned=Planned.of(lab, {}, slow=False, nested={}),
            seconds=30.0,
            dialer=self,
            login=logins,
            instance=lambda address, host_key: FakeGuest(name=address, answers={".*/mnt/marker.*": self.says}),
            public_key="ssh-ed25519 AAAA",
            made=made,
            canary=lambda: self.canary,
            remember=lambda canary: setattr(self, "canary", canary),
        )
        return Subject(
            **({"lab": lab, "virt": "kvm", "guest": lambda node: FakeGuest(name=node), "cloud": cloud} | changes)
        )


@contextmanager
def running() -> Iterator[FakeCloud]:
    """Run the cloud."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            port = int((self.headers["Host"].partition(":")[2]) or 80)
            path = urlsplit(self.path).path
            path = path.rstrip("/") or "/"
            if self.headers.get("X-Auth-Token") == "nonsense":
                status, document = 401, {}
            else:
                status, document = made.answer(self.command, port, path, body)
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            if status == 204 or self.command == "HEAD":
                content = b""
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Subject-Token", "token")
            self.send_header("x-openstack-request-id", "req-1")
            self.send_header("Last-Modified", self.date_time_string(time.time() - made.old))
            self.end_headers()
            self.wfile.write(content)

        do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = FakeCloud(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield made
        server.shutdown()


def _version(name: str, port: int, path: str) -> dict[str, Any]:
    return {"id": name, "status": "CURRENT", "links": [{"rel": "self", "href": f"http://{PUBLIC}:{port}{path}"}]}


_ROOTS: dict[int, Answer] = {
    5000: (300, {"versions": {"values": []}}),
    9292: (300, {"versions": [_version("v2.17", 9292, "/v2/")]}),
    8778: (200, {"versions": [_version("v1.0", 8778, "") | {"max_version": "1.39", "min_version": "1.0"}]}),
    9696: (200, {"versions": [_version("v2.0", 9696, "/v2.0/")]}),
    9001: (300, {"versions": [_version("v2", 9001, "/v2")]}),
}

_ROOM = {
    kind: {"total": total, "reserved": 0, "allocation_ratio": 1.0}
    for kind, total in (("VCPU", 2), ("MEMORY_MB", 8000), ("DISK_GB", 20))
}
