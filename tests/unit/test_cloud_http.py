"""HTTP into a lab by its dialer: names and addresses of the lab, no proxy, openstacksdk on top."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests

from labctl.cloud import http, trouble
from labctl.cloud.connect import Login, connect
from labctl.errors import DeadlineError, LabctlError, RemoteError


@dataclass
class Lab:
    """A lab whose every name leads to one server on this machine; it notes who was dialled and what was asked."""

    server: ThreadingHTTPServer
    dialled: list[tuple[str, int]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)  # Host, path
    fails: LabctlError | None = None

    def open(self, name: str, port: int, *, timeout: float) -> socket.socket:
        self.dialled.append((name, port))
        if self.fails is not None:
            raise self.fails
        return socket.create_connection(("127.0.0.1", self.server.server_port), timeout=timeout)


ANSWERS: dict[tuple[str, str], Any] = {
    ("GET", "/v3"): {
        "version": {
            "id": "v3.14",
            "status": "stable",
            "links": [{"rel": "self", "href": "http://auth-node.example.org:5000/v3/"}],
        }
    },
    ("POST", "/v3/auth/tokens"): {
        "token": {
            "methods": ["password"],
            "expires_at": "2100-01-01T00:00:00.000000Z",
            "issued_at": "2020-01-01T00:00:00.000000Z",
            "user": {"id": "u", "name": "admin", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "p", "name": "admin", "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": "r", "name": "admin"}],
            "catalog": [
                {
                    "id": "c",
                    "type": "compute",
                    "name": "nova",
                    "endpoints": [
                        {
                            "id": "e",
                            "interface": "public",
                            "region": "RegionOne",
                            "region_id": "RegionOne",
                            "url": "http://api-node.example.org:8774/v2.1",
                        }
                    ],
                }
            ],
        }
    },
    ("GET", "/v2.1"): {
        "version": {
            "id": "v2.1",
            "status": "CURRENT",
            "version": "2.96",
            "min_version": "2.1",
            "links": [{"rel": "self", "href": "http://api-node.example.org:8774/v2.1/"}],
        }
    },
    ("GET", "/v2.1/servers/detail"): {"servers": [{"id": "s", "name": "canary", "status": "ACTIVE"}]},
}


@pytest.fixture
def lab() -> Iterator[Lab]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            made.asked.append((self.headers["Host"], self.path))
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            content = json.dumps(ANSWERS.get((self.command, self.path.partition("?")[0].rstrip("/")), {})).encode()
            self.send_response(200 if content != b"{}" else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Subject-Token", "token")
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Lab(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield made
        server.shutdown()


def test_a_url_of_the_lab_is_dialled_by_its_name_and_keeps_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with http.session(lab) as session:
        session.get("http://api-node.example.org:8774/v2.1", timeout=5)
        session.get("http://10.0.0.6/v2.1", timeout=5)
    assert lab.dialled == [("api-node.example.org", 8774), ("10.0.0.6", 80)]
    assert lab.asked == [("api-node.example.org:8774", "/v2.1"), ("10.0.0.6", "/v2.1")]


def test_connections_are_kept_per_name(lab: Lab) -> None:
    with http.session(lab) as session:
        for _ in range(3):
            session.get("http://api-node:8774/v2.1", timeout=5)
    assert len(lab.dialled) == 1


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (RemoteError("nobody listens there"), requests.ConnectionError),
        (DeadlineError("no answer in time"), requests.ConnectTimeout),
    ],
)
def test_what_the_dialer_raises_is_told_in_requests_words(
    lab: Lab, failure: LabctlError, expected: type[Exception]
) -> None:
    lab.fails = failure
    with http.session(lab) as session, pytest.raises(expected, match=failure.brief) as caught:
        session.get("http://api-node:8774/", timeout=5)
    assert isinstance(caught.value, requests.ConnectTimeout) == (expected is requests.ConnectTimeout)


def test_an_answer_that_does_not_come_is_waited_for_as_long_as_one_has_patience_and_told_with_its_address(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, (ours, silent) = "http://api-node:8774/v2.1", socket.socketpair()
    monkeypatch.setattr(lab, "open", lambda name, port, *, timeout: ours)
    cancelled = threading.Event()
    with silent, http.session(lab) as session, http.patience(0.1, cancelled):
        with pytest.raises(requests.ReadTimeout) as caught:
            session.get(url, timeout=60)
        cancelled.set()
        with pytest.raises(requests.ConnectionError, match="interrupted"):
            session.get(url, timeout=60)
    told = trouble.translate(caught.value)
    assert told is not None
    assert (told.says, told.url) == (f"no answer in time: {url}", url)


def test_openstacksdk_runs_in_our_own_process_over_the_dialer(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_AUTH_URL", "http://elsewhere:5000/v3")
    monkeypatch.setenv("OS_CLOUD", "mine")
    login = Login(
        auth_url="http://auth-node.example.org:5000/v3",
        username="admin",
        password="secret",
        project="admin",
        region="RegionOne",
    )
    cloud = connect(lab, login, timeout=10)
    assert lab.dialled == []
    assert [server.name for server in cloud.compute.servers()] == ["canary"]
    assert set(lab.dialled) == {("auth-node.example.org", 5000), ("api-node.example.org", 8774)}
    assert ("api-node.example.org:8774", "/v2.1/servers/detail") in lab.asked
