"""A Keystone that checks signatures as botocore makes them, a Nova and a Glance, on one port; strict."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import ThreadingMixIn
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ACCESS, SECRET, PASSWORD = "a" * 32, "secretsecretsecretsecretsecret00", "the service's $ password"
IMAGE, KERNEL, SERVER = (UUID(int=number << 64 | number) for number in (7, 8, 9))
TOKEN = "token-of-demo"
_SERVICE = "token-of-ec2"

Answer = tuple[int, Any]


@dataclass
class FakeAws:
    """The cloud behind EC2's API.

    Attributes:
        servers: of demo's project, by ID, as Nova shows them.
        asked: method and path of every request.
        bodies: of those that had one.
        unknown: requests without an answer.
        instead: method and path to what comes instead.
        verdicts: what Keystone said about signatures.
        roles: whether the service's user may log in, and may ask about signatures.
    """

    port: int
    servers: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[tuple[str, str, Any]] = field(default_factory=list)
    unknown: list[tuple[str, str]] = field(default_factory=list)
    instead: dict[tuple[str, str], Answer] = field(default_factory=dict)
    verdicts: list[int] = field(default_factory=list)
    roles: tuple[bool, bool] = (True, True)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def forget(self) -> None:
        """Be as at the beginning."""
        for each in (self.servers, self.asked, self.bodies, self.unknown, self.instead, self.verdicts):
            each.clear()
        self.roles = (True, True)

    def server(self, which: UUID = SERVER, **changes: Any) -> dict[str, Any]:
        """Add a server."""
        made = {
            "id": str(which),
            "name": "web <&> \x0b1",
            "status": "ACTIVE",
            "tenant_id": "p",
            "image": {"id": str(IMAGE)},
            "flavor": {"original_name": "m1.tiny"},
            "key_name": "lab",
            "created": "2026-11-26T20:00:00Z",
            "OS-EXT-AZ:availability_zone": "nova",
            "OS-EXT-STS:task_state": None,
            "metadata": {},
            "addresses": {
                "net1": [
                    {"addr": "fd00::1", "version": 6, "OS-EXT-IPS:type": "fixed"},
                    {"addr": "10.99.0.5", "version": 4, "OS-EXT-IPS:type": "fixed"},
                    {"addr": "172.16.1.7", "version": 4, "OS-EXT-IPS:type": "floating"},
                ]
            },
        } | changes
        self.servers[made["id"]] = made
        return made

    def answer(self, method: str, path: str, headers: Any, body: bytes) -> Answer:
        """Answer a request."""
        document = json.loads(body) if body else None
        with self.lock:
            self.asked.append((method, path))
            self.bodies += [(method, path, document)] if body else []
        if (found := self.instead.get((method, path))) is not None:
            return found
        for pattern, token, do in self._paths():
            if matched := re.fullmatch(pattern, f"{method} {path}"):
                if token and headers.get("X-Auth-Token") != token:
                    return 401, {"error": {"message": "no good token"}}
                return do(document, *matched.groups())
        self.unknown.append((method, path))
        return 404, {"error": {"message": "no such thing"}}

    def _paths(self) -> list[tuple[str, str, Callable[..., Answer]]]:
        versions = {"id": "v2.1", "status": "CURRENT", "version": "2.96", "min_version": "2.1"}
        link = {"links": [{"rel": "self", "href": f"{self.url}/compute/v2.1/"}]}
        identity = {"links": [{"rel": "self", "href": f"{self.url}/v3/"}]}
        image = {"id": "v2.17", "status": "CURRENT", "links": [{"rel": "self", "href": f"{self.url}/image/v2/"}]}
        flavor = {"id": "f", "name": "m1.tiny", "ram": 128, "vcpus": 1, "disk": 1}
        key = {"name": "lab", "fingerprint": "aa:bb", "public_key": "ssh-ed25519 AAAA", "type": "ssh"}
        return [
            ("GET /v3", "", lambda _: (200, {"version": {"id": "v3.14", "status": "stable"} | identity})),
            ("POST /v3/auth/tokens", "", self._login),
            ("POST /v3/ec2tokens", _SERVICE, self._checked),
            ("GET /compute/v2.1", "", lambda _: (200, {"version": versions | link})),
            ("GET /image", "", lambda _: (300, {"versions": [image]})),
            ("GET /image/v2/images", TOKEN, lambda _: (200, {"images": self._images()})),
            (r"GET /image/v2/images/([0-9a-f-]{36})", TOKEN, self._image),
            ("GET /compute/v2.1/flavors/(m1.tiny|m9)", TOKEN, lambda *_: (404, {})),
            ("GET /compute/v2.1/flavors(?:/detail)?", TOKEN, lambda _: (200, {"flavors": [flavor]})),
            ("GET /compute/v2.1/os-keypairs", TOKEN, lambda _: (200, {"keypairs": [{"keypair": key}]})),
            ("GET /compute/v2.1/servers/detail", TOKEN, lambda _: (200, {"servers": list(self.servers.values())})),
            ("POST /compute/v2.1/servers", TOKEN, self._boot),
            (r"POST /compute/v2.1/servers/([0-9a-f-]{36})/action", TOKEN, lambda *_: (202, None)),
            (r"DELETE /compute/v2.1/servers/([0-9a-f-]{36})", TOKEN, lambda *_: (204, None)),
        ]

    def _login(self, document: Any) -> Answer:
        user = document["auth"]["identity"]["password"]["user"]
        if (user["name"], user["password"]) != ("ec2", PASSWORD) or not self.roles[0]:
            return 401, {"error": {"message": "who are you"}}
        return 201, self._token(_SERVICE)

    def _checked(self, document: Any) -> Answer:
        """Check a signature as Keystone does, from what it is told alone."""
        (said,) = document.values()
        status = 200
        if not self.roles[1]:
            status = 403
        elif said["access"] != ACCESS:
            status = 404
        else:
            scope = re.search(r"Credential=\w+/(\d{8})/([\w-]+)/ec2/aws4_request", said["headers"]["Authorization"])
            names = re.search(r"SignedHeaders=([a-z0-9;-]+)", said["headers"]["Authorization"])
            assert scope
            assert names
            signer = SigV4Auth(Credentials(ACCESS, SECRET), "ec2", scope[2])
            signer.payload = lambda _: said["body_hash"]  # type: ignore[method-assign]
            signed = {name: said["headers"][name] for name in names[1].split(";")}
            url = f"http://{said['host']}{said['path']}"
            request = AWSRequest(method=said["verb"], url=url, headers=signed, params=said["params"])
            request.context["timestamp"] = said["headers"]["X-Amz-Date"]
            text = signer.string_to_sign(request, signer.canonical_request(request))
            status = 200 if signer.signature(text, request) == said["signature"] else 401
        self.verdicts.append(status)
        return (status, self._token(TOKEN)) if status == 200 else (status, {"error": {"message": "no"}})

    def _token(self, token: str) -> dict[str, Any]:
        def entry(kind: str, path: str) -> dict[str, Any]:
            url = {"id": kind, "interface": "internal", "region": "RegionOne", "region_id": "RegionOne"}
            return {"id": kind, "name": kind, "type": kind, "endpoints": [url | {"url": f"{self.url}{path}"}]}

        domain = {"id": "default", "name": "Default"}
        return {
            "subject": token,
            "token": {
                "methods": ["password"],
                "expires_at": "2099-01-01T00:00:00.000000Z",
                "issued_at": "2020-01-01T00:00:00.000000Z",
                "user": {"id": "u", "name": "demo", "domain": domain},
                "project": {"id": "p", "name": "demo", "domain": domain},
                "roles": [{"id": "r", "name": "member"}],
                "catalog": [entry("compute", "/compute/v2.1"), entry("image", "/image")],
            },
        }

    def _images(self) -> list[dict[str, Any]]:
        made = {"status": "active", "visibility": "public", "owner": "p", "created_at": "2026-11-26T20:00:00Z"}
        return [
            made | {"id": str(IMAGE), "name": "cirros <&>", "container_format": "bare", "disk_format": "qcow2"},
            made | {"id": str(KERNEL), "name": "vmlinuz", "container_format": "aki", "disk_format": "aki"},
        ]

    def _image(self, _: Any, name: str) -> Answer:
        return next(((200, each) for each in self._images() if each["id"] == name), (404, {}))

    def _boot(self, document: Any) -> Answer:
        wanted = document["server"]
        with self.lock:
            first = len(self.servers) + 100
            for number in range(first, first + wanted["max_count"]):
                values = {"status": "BUILD", "metadata": wanted["metadata"], "addresses": {}, "name": wanted["name"]}
                self.server(UUID(int=number), **values)
        return 202, {"server": {"id": str(UUID(int=first))}}


@contextmanager
def running() -> Iterator[FakeAws]:
    """Run the cloud."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            path = urlsplit(self.path).path.rstrip("/")
            status, document = made.answer(self.command, path, self.headers, body)
            token = document.pop("subject", "") if isinstance(document, dict) else ""
            content = b"" if document is None else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if token:
                self.send_header("X-Subject-Token", token)
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_DELETE = do_GET  # noqa: N815 - http.server's names

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = FakeAws(server.server_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield made
        server.shutdown()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@contextmanager
def serving(application: Any) -> Iterator[str]:
    """Serve a WSGI application; return its URL."""
    with make_server("127.0.0.1", 0, application, server_class=_Server, handler_class=_Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/services/Cloud"
        server.shutdown()
