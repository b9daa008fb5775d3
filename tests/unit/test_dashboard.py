"""The dashboard's port, with a small HTTP server and a small console proxy instead of a lab's Horizon and Nova."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve
from websockets.typing import Origin, Subprotocol

from labctl import waiting
from labctl.board import dashboard
from labctl.board.actions import Actions
from labctl.board.origin import COOKIE
from labctl.lab import classroom, passes
from tests.unit.test_board import Pages, one_way_tls, pages

__all__ = ["pages"]  # a fixture


class Horizon(BaseHTTPRequestHandler):
    """Tells what it was asked, and answers as Horizon does."""

    def do_GET(self) -> None:
        length = int(self.headers.get("content-length", 0))
        said = {"path": self.path, "method": self.command, "body": self.rfile.read(length).decode()}
        said |= {name.lower(): value for name, value in self.headers.items()}
        match self.path:
            case "/horizon/":
                self.send_response(302)
                self.send_header("location", f"http://{self.headers['host']}/horizon/auth/login/")
                self.end_headers()
            case "/horizon/instance":
                self.answer(b"<iframe src='http://api-node.example.org:6080/vnc_lite.html?path=%3Ftoken%3D1'>")
            case "/horizon/large":
                self.answer(b"x" * 3_000_000, kind="application/octet-stream")
            case _:
                self.answer(json.dumps(said).encode(), kind="application/json")

    do_POST = do_GET  # noqa: N815 - http.server looks for this name

    def answer(self, body: bytes, kind: str = "text/html; charset=utf-8") -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.send_header("set-cookie", "sessionid=abc; Path=/horizon; Domain=example.org; HttpOnly")
        self.send_header("set-cookie", f"{COOKIE}=forged; Path=/; Secure")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def lab(pages: Pages) -> Iterator[Pages]:
    """Give both labs a dashboard on node-1 and a console proxy on node-2."""
    for team, plan in pages.labs.plans.items():
        roles = {"node-1": ("horizon",), "node-2": ("nova",)}
        nodes = tuple(replace(node, roles=roles[node.name]) for node in plan.nodes)
        pages.labs.plans[team] = replace(plan, nodes=nodes)
    web = ThreadingHTTPServer(("127.0.0.1", 0), Horizon)
    threading.Thread(target=web.serve_forever, args=(0.02,), daemon=True).start()

    def screen(socket: ServerConnection) -> None:
        assert socket.request is not None
        headers = socket.request.headers
        socket.send(f"{socket.request.path} {headers['host']} {headers['origin']} {headers.get('cookie')}".encode())
        for data in socket:
            socket.send(data)

    with serve(screen, "127.0.0.1", 0, subprotocols=[Subprotocol("binary")]) as consoles:
        threading.Thread(target=consoles.serve_forever, daemon=True).start()
        pages.labs.ports |= {80: web.server_port, 6080: consoles.socket.getsockname()[1]}
        yield pages
        consoles.shutdown()
    web.shutdown()
    web.server_close()


def ask(lab: Pages, path: str, team: str | None = "red", method: str = "GET", **options: Any) -> requests.Response:
    """Ask the dashboard's port as a team's browser."""
    cookies = dict(options.pop("cookies", {}))
    if team is not None:
        cookies[COOKIE] = passes.issue(lab.home, team, passes.SESSION, seconds=60)
    cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
    headers = {"cookie": cookie} | options.pop("headers", {})
    url = f"https://localhost:{lab.dashboards}{path}"
    return requests.request(
        method, url, headers=headers, verify=str(lab.certificate), allow_redirects=False, timeout=20, **options
    )


@contextlib.contextmanager
def console(lab: Pages, query: str, team: str | None, origin: str = "") -> Iterator[ClientConnection]:
    token = passes.issue(lab.home, team, passes.SESSION, seconds=60) if team is not None else ""
    with connect(
        f"wss://localhost:{lab.dashboards}/{query}",
        ssl=one_way_tls(lab.certificate),
        origin=Origin(origin or f"https://localhost:{lab.dashboards}"),
        additional_headers={"cookie": f"{COOKIE}={token}; sessionid=abc"},
        subprotocols=[Subprotocol("binary")],
        proxy=None,
    ) as opened:
        yield opened


def test_a_team_reaches_its_own_dashboard_by_what_the_browser_asked_for(lab: Pages) -> None:
    said = ask(lab, "/horizon/a%20b%2Fc/?a=1&b=%20").json()
    assert (said["method"], said["path"]) == ("GET", "/horizon/a%20b%2Fc/?a=1&b=%20")
    assert said["host"] == f"localhost:{lab.dashboards}"
    assert lab.labs.dialled == [("red", "node-1", "10.0.0.3", 80)]
    assert ask(lab, "/horizon/").headers["location"] == "/horizon/auth/login/"
    assert len(ask(lab, "/horizon/large").content) == 3_000_000
    assert waiting.until(lambda: lab.labs.lines == 0, seconds=20)  # the browser has the last byte before


def test_a_form_arrives_whole_and_with_an_origin_that_the_dashboard_accepts(lab: Pages) -> None:
    own = f"https://localhost:{lab.dashboards}"
    headers = {"origin": own, "referer": f"{own}/horizon/auth/login/"}
    said = ask(lab, "/horizon/auth/login/", method="POST", data={"username": "demo"}, headers=headers).json()
    assert (said["method"], said["body"]) == ("POST", "username=demo")
    assert (said["origin"], said["referer"]) == (
        own.replace("https", "http"),
        f"{own.replace('https', 'http')}/horizon/auth/login/",
    )


def test_nobody_but_the_labs_team_gets_anything(lab: Pages) -> None:
    for team in (None, ""):
        answer = ask(lab, "/horizon/project/", team)
        assert (answer.status_code, answer.headers["location"]) == (303, f"https://localhost:{lab.port}/login")
        with pytest.raises(InvalidStatus), console(lab, "?token=1", team):
            pass
    for origin in ("https://evil.example.org", f"https://localhost:{lab.port}"):
        assert ask(lab, "/horizon/", method="POST", headers={"origin": origin}).status_code == 403
        with pytest.raises(InvalidStatus), console(lab, "?token=1", "red", origin):
            pass
    assert lab.labs.dialled == []
    ask(lab, "/horizon/project/", "blue")
    assert [team for team, *_ in lab.labs.dialled] == ["blue"]


def test_cookies_of_the_pages_stay_here_and_those_of_a_dashboard_go_to_no_other_lab(lab: Pages) -> None:
    first = ask(lab, "/horizon/project/", cookies={"sessionid": "somebody-elses", "csrftoken": "somebody-elses"})
    assert "cookie" not in first.json()
    mark = first.cookies[dashboard._MARK]
    set_cookies = {line.partition("=")[0]: line for line in first.raw.headers.getlist("set-cookie")}
    assert set(set_cookies) == {dashboard._MARK, "sessionid", "csrftoken"}
    assert set_cookies["sessionid"] == "sessionid=abc; HttpOnly; Path=/"
    assert "Max-Age=0; Path=/" in set_cookies["csrftoken"]  # or it would go to this lab from the second request on
    cookies = {"sessionid": "abc", "csrftoken": "x", dashboard._MARK: mark}
    assert ask(lab, "/horizon/project/", cookies=cookies).json()["cookie"] == "sessionid=abc; csrftoken=x"
    assert "cookie" not in ask(lab, "/horizon/project/", "blue", cookies=cookies).json()


def test_the_screen_of_an_instance_is_reached_by_the_link_in_the_dashboards_page(lab: Pages) -> None:
    page = ask(lab, "/horizon/instance").text
    assert page == "<iframe src='/consoles/vnc_lite.html?path=%3Ftoken%3D1'>"
    with console(lab, "?token=1", "red") as screen:
        assert screen.recv(timeout=20) == b"/?token=1 node-2:6080 http://node-2:6080 None"
        screen.send(b"RFB 003.008")
        assert screen.recv(timeout=20) == b"RFB 003.008"
    assert [line[:2] for line in lab.labs.dialled] == [("red", "node-1"), ("red", "node-2")]


def test_an_instance_that_ends_while_somebody_types_ends_its_screen_quietly() -> None:
    class Browser:
        async def receive(self) -> dict[str, object]:
            return {"type": "websocket.receive", "bytes": b"x"}

        async def close(self) -> None:
            pass

    class Screen:
        async def send(self, data: bytes) -> None:
            raise ConnectionClosedError(None, None)

        def __aiter__(self) -> Screen:
            return self

        async def __anext__(self) -> bytes:
            await asyncio.sleep(3600)
            raise StopAsyncIteration

    asyncio.run(dashboard._join(Browser(), Screen()))  # type: ignore[arg-type]


def test_why_there_is_no_dashboard_is_told(lab: Pages) -> None:
    lab.labs.dead.add("node-1")
    answer = ask(lab, "/horizon/project/")
    assert (answer.status_code, "does not answer" in answer.text) == (502, True)
    plan = lab.labs.plans["blue"]
    lab.labs.plans["blue"] = replace(plan, nodes=tuple(replace(node, roles=()) for node in plan.nodes))
    assert "has no horizon" in ask(lab, "/horizon/project/", "blue").text


def test_too_much_at_once_is_refused(lab: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "_LARGEST", 1000)
    assert ask(lab, "/horizon/image", method="POST", data="x" * 2000).status_code == 413
    assert waiting.until(lambda: lab.labs.lines == 0, seconds=20)


def test_the_team_page_leads_to_the_dashboard_of_an_installed_cloud_alone(lab: Pages) -> None:
    team = classroom.look(lab.home).teams["red"]
    nodes = tuple(replace(node, roles=("horizon",)) for node in team.nodes)
    installed = replace(team, stage="installed", nodes=nodes)
    actions = Actions(lab.home, ssh_port=None, dashboards=8444)
    assert actions.dashboard(installed, "classroom") == "https://classroom:8444/horizon/"
    for other in (team, replace(team, stage="installed"), replace(installed, stage="bare")):
        assert actions.dashboard(other, "classroom") is None
    assert Actions(lab.home, ssh_port=None).dashboard(installed, "classroom") is None
