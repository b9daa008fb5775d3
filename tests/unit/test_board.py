"""The classroom's web pages, over TLS on loopback: what each pair of eyes gets, and that it gets nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import requests
from starlette.routing import Mount, Route, WebSocketRoute
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

import labctl.board
from labctl import waiting
from labctl.board import server
from labctl.board.actions import Actions
from labctl.board.app import COOKIE, application
from labctl.board.desk import Desk
from labctl.board.server import Listening
from labctl.board.windows import KINDS
from labctl.door import hall
from labctl.door.hall import Hall
from labctl.door.terminals import Terminals
from labctl.errors import InputError, LabctlError
from labctl.lab import access, classroom, events, hands, passes, secrets
from labctl.lab.sabotage import LEDGER, Ledger
from labctl.lab.sessions import SessionEvent
from labctl.report import classroom as views
from labctl.rounds.events import Checked, Frozen, HintTaken, Opened, Started
from labctl.sabotage.ledger import Entry, State
from labctl.site import site
from labctl.spec import scoring
from labctl.state import Home
from tests.unit.fake_classroom import FakeLabs, nodes
from tests.unit.fake_site import World

FORM = {"content-type": "application/x-www-form-urlencoded"}


@dataclass
class Pages:
    """The pages of a classroom with labs of red and blue."""

    world: World
    port: int
    certificate: Path
    dashboards: int = 0
    labs: FakeLabs = field(default_factory=FakeLabs)
    events: list[SessionEvent] = field(default_factory=list)
    failures: list[LabctlError] = field(default_factory=list)
    browsers: list[Browser] = field(default_factory=list)
    hall: Hall | None = None

    @property
    def home(self) -> Home:
        return self.world.home

    def browser(self, team: str | None = None) -> Browser:
        """Return a browser: of a team, of the organiser (""), or of somebody who has not logged in (None)."""
        return Browser(self, team)


class Browser:
    """Follows no redirect and keeps cookies."""

    def __init__(self, pages: Pages, team: str | None) -> None:
        self._pages = pages
        self.session = requests.Session()
        pages.browsers.append(self)
        self.session.verify = str(pages.certificate)
        self.session.trust_env = False
        if team is not None:
            link = passes.issue(pages.home, team, passes.LINK, seconds=60)
            assert self.get(f"/in/{link}").status_code == 303

    def get(self, path: str, **options: Any) -> requests.Response:
        return self.session.get(self._url(path), allow_redirects=False, timeout=20, **options)

    def post(
        self, path: str, *, token: str | None = None, origin: str | None = None, **fields: str
    ) -> requests.Response:
        """Send a form, with the token of the page that the browser shows if none is given."""
        given = self.token() if token is None else token
        headers = {"origin": origin or f"https://localhost:{self._pages.port}"}
        data = {"token": given, **fields}
        return self.session.post(self._url(path), data=data, headers=headers, allow_redirects=False, timeout=20)

    @contextlib.contextmanager
    def socket(self, path: str, *, origin: str | None = "") -> Iterator[ClientConnection]:
        """Connect by a WebSocket, as a page does; from another site where one is given."""
        cookies = "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.session.cookies)
        own = f"https://localhost:{self._pages.port}"
        trusted = one_way_tls(self._pages.certificate)
        with connect(
            self._url(path).replace("https", "wss"),
            ssl=trusted,
            origin=Origin(origin or own) if origin is not None else None,
            additional_headers={"cookie": cookies},
            proxy=None,
        ) as opened:
            yield opened

    def token(self) -> str:
        found = re.search(r'name="token" value="([0-9a-f]+)"', self.get("/").text)
        return found[1] if found else ""

    def until(self, text: str, path: str = "/") -> str:
        """Load a page until it says something."""
        deadline = time.monotonic() + 10
        while text not in (said := self.get(path).text):
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
        return said

    def _url(self, path: str) -> str:
        return f"https://localhost:{self._pages.port}{path}"


def one_way_tls(certificate: Path) -> ssl.SSLContext:
    """Return a context for clients of `websockets.sync`, which read in a thread while another one writes.

    OpenSSL allows no two at once, and Python takes turns from 3.13 on. A ticket of TLS 1.3 has the thread read while
    the request is written; one request in 1500 was lost.
    """
    context = ssl.create_default_context(cafile=certificate)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


@pytest.fixture
def pages(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pages]:
    @contextlib.contextmanager
    def there(*_: Any, **__: Any) -> Iterator[Any]:
        yield world.site()

    monkeypatch.setattr(site, "opened", there)
    monkeypatch.setattr("labctl.board.desk._LOOK", 0.2)
    world.create("red", "blue")
    for team in ("red", "blue"):
        access.give(world.home, team)
    made = Pages(world, 0, server.self_made(world.home, ()))
    with running(made, ssh_port=2222):
        made.browser("").until("2 of 2 run")
        yield made
        for browser in made.browsers:
            browser.session.close()


@contextlib.contextmanager
def running(pages: Pages, *, ssh_port: int | None) -> Iterator[None]:
    """Serve the pages in a thread."""
    loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    async def serve() -> None:
        pem = pages.certificate
        pages.dashboards = free_port()
        own = ("127.0.0.1", pages.dashboards)
        where = Listening(address="127.0.0.1", port=0, certificate=pem, key=pem, ssh_port=ssh_port, dashboards=own)
        async with (
            nodes(pages.world.home.root, []) as pages.labs,
            hall.opened(pages.labs, record=pages.events.extend, failed=pages.failures.append) as behind,
            server.opened(pages.home, where, behind, failed=pages.failures.append) as port,
        ):
            pages.port, pages.hall = port, behind
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(20)
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()
    assert not thread.is_alive()


def free_port() -> int:
    """Return a port below those that the system gives to others who ask for any, while tests run side by side."""
    while True:
        port = random.randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def open_round(home: Home, *, player: str = "red", lab: str = "red") -> None:
    rules = scoring.Rules().model_dump(mode="json")
    now = time.time()
    events.append(home, lab, Opened(at=now, round="one", minutes=30, player=player, faults=0, rules=rules))
    events.append(home, lab, Started(at=now))


def sabotaged(home: Home, team: str, title: str, state: State = State.INJECTED) -> None:
    """Write a fault into the ledger of a team's lab."""
    Ledger(home.lab(team)).save(
        Entry(
            uid=title,
            fault="TM-01",
            title=title,
            level=1,
            group="time",
            state=state,
            seed="x",
            node="node-1",
            service="time",
            lasts="",
            red=("B05",),
            green=(),
            hints=(),
            explanation="",
            repair=(),
            drawn_at="2026-01-01T00:00:00+00:00",
        )
    )


# -- who sees what -----------------------------------------------------------------------------------------------------


def routes(home: Home) -> list[tuple[str, str]]:
    """Return every address and method that the application knows."""
    desk = Desk(home, look=classroom.look, failed=lambda _: None)
    behind = hall.Hall(FakeLabs(), record=lambda _: None, failed=lambda _: None)
    found = []
    for route in application(desk, Actions(home, ssh_port=None), Terminals(behind, changed=lambda: None)).routes:
        if isinstance(route, WebSocketRoute):
            found.append((route.path, "SOCKET"))
        elif isinstance(route, Route):
            found += [(route.path, method) for method in sorted(route.methods or ()) if method != "HEAD"]
        else:
            assert isinstance(route, Mount)
            found.append((f"{route.path}/board.css", "GET"))
    return found


PUBLIC = {"/login", "/in/{token}", "/score", "/static/board.css"}
ORGANISER = {
    *("/board.csv", "/score.csv", "/team/{team}/nodes.csv", "/notice", "/notice/back", "/checks"),
    *("/team/{team}", *(f"/team/{{team}}/{what}" for what in ("hand", "reset", "checks", "heal", "snapshot"))),
    *("/team/{team}/open/{kind}/{node}", "/team/{team}/open/{kind}/{node}/socket"),
    *("/team/{team}/join/{terminal}", "/team/{team}/join/{terminal}/socket"),
}
TEAM = {"/hand", "/hint", "/report", "/files/{name}", "/open/{kind}/{node}", "/open/{kind}/{node}/socket"}


def test_no_address_gives_anything_of_another_team(pages: Pages) -> None:
    """Every route with every kind of eyes: the table names all of them, and what is not in it fails."""
    home = pages.home
    hands.put(home, "blue", up=True, text="blues-own-words")
    open_round(home, player="blue", lab="blue")
    sabotaged(home, "red", "what-was-broken")
    sabotaged(home, "blue", "what-was-broken")
    pages.browser("").until("what-was-broken")
    pages.browser("").until("blues-own-words")
    known = access.known(home, "blue")
    sealed = [
        known.password,
        secrets.login_key(home.lab("blue")).splitlines()[3],
        "blues-own-words",
        "what-was-broken",
        str(pages.world.plan("blue").nodes[0].mgmt),
    ]
    red, blue, nobody = pages.browser("red"), pages.browser("blue"), pages.browser()
    seen = set()
    for path, method in routes(home):
        if method == "SOCKET":
            check_socket(pages, path, red, blue, nobody)
            seen.add(path)
            continue
        for team in ("blue", "red"):
            for name in (f"{team}.key", f"{team}.known_hosts", "config", "openrc", "clouds.yaml", "lab.json"):
                place = path.format(team=team, name=name, token="x", kind="terminal", node="node-1", terminal="x")
                for browser in (red, nobody):
                    if path in ("/events", "/logout"):
                        continue  # a stream of numbers, and the end of a session: see below
                    answer = (
                        browser.get(place)
                        if method == "GET"
                        else browser.post(place, node="node-1", up="yes", nothing="yes", team=team, password="x")
                    )
                    assert not [text for text in sealed if text in answer.text], (place, method)
                    if browser is nobody and path not in PUBLIC:
                        assert (answer.status_code, answer.headers["location"]) == (303, "/login"), place
                    if browser is red and path in ORGANISER:
                        assert answer.status_code == 404, place
                if "{" not in path or "{name}" not in path:
                    break
        seen.add(path)
    assert seen == PUBLIC | ORGANISER | TEAM | {"/", "/logout", "/events"}
    assert pages.world.record("blue").generations == {}
    assert set(hands.raised(home)) == {"blue", "red"}  # red raised its own


def check_socket(pages: Pages, path: str, red: Browser, blue: Browser, nobody: Browser) -> None:
    """See that nobody gets a socket that leads to blue's lab, but for blue and the organiser."""
    with blue.socket("/open/terminal/node-1/socket") as own:
        assert own.recv()
        found = re.search(r"/team/blue/join/([0-9a-f]+)", pages.browser("").until("/team/blue/join/", "/team/blue"))
        assert found is not None
        words = [(kind, terminal) for kind in KINDS for terminal in (found[1], "x")]
        places = {path.format(team="blue", kind=kind, node="node-1", terminal=name) for kind, name in words}
        refused = [(nobody, ""), (red, "https://evil.example.org"), (red, None)]
        refused += [(red, "")] if "{team}" in path else [(pages.browser(""), "")]
        before = len(pages.labs.dialled)
        for place, (browser, origin) in itertools.product(sorted(places), refused):
            with pytest.raises(InvalidStatus) as answer, browser.socket(place, origin=origin):
                pass
            assert answer.value.response.status_code == 403
        assert len(pages.labs.dialled) == before
    place = path.format(kind="terminal", node="node-1", team="red", terminal=found[1])
    with (pages.browser("") if "{team}" in path else red).socket(place) as other:
        other.recv()
    assert {team for team, *_ in pages.labs.dialled} <= {"red", "blue"}
    assert [team for team, *_ in pages.labs.dialled].count("blue") == 1


def test_the_organiser_sees_all_and_has_no_buttons_of_teams(pages: Pages) -> None:
    organiser = pages.browser("")
    page = organiser.get("/").text
    assert ">red</a>" in page
    assert ">blue</a>" in page
    for path in TEAM - {"/open/{kind}/{node}/socket"}:
        place = path.format(name="config", kind="terminal", node="node-1")
        answer = organiser.get(place) if "{" in path else organiser.post(place, up="yes")
        assert answer.status_code == 404
    lines = organiser.get("/board.csv").text.splitlines()
    assert [line.split(",")[:6] for line in lines[1:]] == [
        [team, team, "mini", "bare", "2", "2"] for team in ("blue", "red")
    ]


def test_the_board_says_where_each_lab_stands_and_opens_its_faults_when_they_are_clicked(pages: Pages) -> None:
    organiser = pages.browser("")
    row = "<small>mini, bare</small></th>"
    assert organiser.get("/").text.count(row) == 2
    assert organiser.get("/").text.count("</summary>None.</details>") == 2
    sabotaged(pages.home, "red", "The clock is wrong")
    sabotaged(pages.home, "red", "It was healed", State.HEALED)
    page = organiser.until("TM-01: The clock is wrong")  # without being asked for anything else
    seal = '<details><summary>Sealed<span class="unseen">: red</span></summary>'  # closed, until it is clicked
    assert f"{seal}<ul><li>TM-01: The clock is wrong</li></ul></details>" in page
    assert "It was healed" not in page
    assert "TM-01: The clock is wrong" in organiser.get("/team/red").text
    pages.home.lab("red").write(LEDGER, "no ledger")
    organiser.until(f"{LEDGER} is damaged")
    assert "2 of 2 run" in organiser.get("/").text  # one file does not hide the others
    record = pages.home.lab("blue").load()
    assert record is not None
    pages.home.lab("blue").save(replace(record, reached="glance"))
    organiser.until("<small>mini, after:glance</small></th>")


def test_every_answer_forbids_what_pages_do_not_need(pages: Pages) -> None:
    for path in ("/login", "/score", "/nowhere", "/static/board.js", "/static/none", "/in/x"):
        answer = pages.browser().get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"


def test_no_page_has_a_script_or_style_in_it() -> None:
    for path in (Path(labctl.board.__file__).parent / "templates").iterdir():
        text = path.read_text()
        assert not re.findall(r"<script(?![^>]* src=)|<style|\sstyle=|\son[a-z]+=|javascript:|https?://", text), path


# -- getting in --------------------------------------------------------------------------------------------------------


def test_a_password_lets_in_its_team(pages: Pages) -> None:
    browser = pages.browser()
    password = access.known(pages.home, "red").password
    for team, given in (
        ("red", "wrong"),
        ("blue", password),
        ("green", password),
        ("", password),
        ("../red", password),
    ):
        answer = browser.post("/login", team=team, password=given, token="")
        assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)
    answer = browser.post("/login", team="red", password=password, token="")
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    for word in ("Secure", "HttpOnly", "SameSite=lax", "Path=/"):
        assert word in answer.headers["set-cookie"]
    assert "<h1>red" in browser.get("/").text
    browser.post("/logout")
    assert browser.get("/").headers["location"] == "/login"


def test_whoever_guesses_has_to_wait(pages: Pages) -> None:
    browser = pages.browser()
    for _ in range(5):
        browser.post("/login", team="red", password="wrong", token="")
    answer = browser.post("/login", team="red", password=access.known(pages.home, "red").password, token="")
    assert (answer.status_code, "Wait a minute" in answer.text) == (403, True)


def test_what_opens_the_pages_stands_in_no_log(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    logged: list[str] = []
    listener = logging.Handler()
    listener.emit = lambda record: logged.append(f"{record.name}: {record.getMessage()}")  # type: ignore[method-assign]
    monkeypatch.setattr(logging.root, "handlers", [*logging.root.handlers, listener])
    monkeypatch.setattr(logging.root, "level", logging.DEBUG)
    link, password = passes.issue(pages.home, "red", passes.LINK, seconds=60), access.known(pages.home, "red").password
    browser = pages.browser()
    assert browser.get(f"/in/{link}").status_code == 303
    browser.post("/login", team="red", password=password)
    pages.browser().post("/login", team="red", password="a-wrong-guess")
    assert waiting.until(lambda: len(pages.events) >= 3, seconds=10)
    said = [line for line in logged if not line.startswith("urllib3")]  # the browser's own
    said += [repr(pages.events), repr(pages.failures)]
    for text in (link, password, "a-wrong-guess", *(str(cookie.value) for cookie in browser.session.cookies)):
        assert not [line for line in said if text in line]


def test_another_site_cannot_log_anybody_in_or_press_a_button(pages: Pages) -> None:
    password = access.known(pages.home, "red").password
    evil = "https://evil.example.org"
    assert pages.browser().post("/login", team="red", password=password, token="", origin=evil).status_code == 403
    red, blue = pages.browser("red"), pages.browser("blue")
    for token, origin in (("", None), ("0" * 64, None), (blue.token(), None), (red.token(), evil)):
        answer = red.post("/hand", up="yes", token=token, origin=origin)
        assert answer.status_code == 403
    assert hands.raised(pages.home) == {}


def test_a_new_password_or_no_access_ends_sessions_and_links(pages: Pages) -> None:
    red, blue = pages.browser("red"), pages.browser("blue")
    link = passes.issue(pages.home, "red", passes.LINK, seconds=60)
    access.renew(pages.home, "red")
    assert red.get("/").headers["location"] == "/login"
    assert pages.browser().get(f"/in/{link}").status_code == 403
    access.remove(pages.home, "blue")
    assert blue.get("/").headers["location"] == "/login"
    with pytest.raises(InputError):
        passes.issue(pages.home, "blue", passes.LINK, seconds=60)


def test_no_pass_opens_what_it_was_not_made_for(pages: Pages) -> None:
    home = pages.home
    late = passes.issue(home, "red", passes.LINK, seconds=-1)
    session = passes.issue(home, "red", passes.SESSION, seconds=60)
    link = passes.issue(home, "red", passes.LINK, seconds=60)
    body, _, signature = link.partition(".")
    forged = passes.issue(home, "blue", passes.LINK, seconds=60).partition(".")[0]
    for token in (late, session, body, f"{forged}.{signature}", f"{body}.{'0' * 64}", "x", ".x"):
        assert pages.browser().get(f"/in/{token}").status_code == 403, token
    browser = pages.browser()
    browser.session.cookies.set(COOKIE, link, domain="localhost.local", secure=True)
    assert browser.get("/").headers["location"] == "/login"
    assert passes.read(home, link, passes.LINK) is not None


# -- what happens ------------------------------------------------------------------------------------------------------


def test_a_raised_hand_is_told_to_the_board_at_once(pages: Pages) -> None:
    organiser, red = pages.browser(""), pages.browser("red")
    with organiser.get("/events", stream=True) as stream:
        lines = stream.iter_lines(chunk_size=1)
        assert next(line for line in lines if line.startswith(b"data"))
        red.post("/hand", up="yes", text="<script>alert(1)</script>  help")
        assert next(line for line in lines if line.startswith(b"data"))
    page = organiser.get("/").text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; help" in page
    assert page.index(">red</a>") < page.index(">blue</a>")
    assert "Your hand is up" in red.get("/").text
    organiser.post("/team/red/hand")
    assert hands.raised(pages.home) == {}
    assert "Raise a hand" in red.get("/").text


def test_a_node_is_reset_by_button(pages: Pages) -> None:
    organiser = pages.browser("")
    assert organiser.post("/team/red/reset", node="node-1").status_code == 303
    organiser.until("node-1 of red: reset: done")
    assert pages.world.record("red").generations == {"node-1": 1}
    assert organiser.post("/team/red/reset", node="node-9").status_code == 400
    assert organiser.post("/team/green/reset", node="node-1").status_code == 400


def test_a_team_gets_the_files_of_its_own_lab(pages: Pages) -> None:
    red = pages.browser("red")
    assert red.get("/files/red.key").text == secrets.login_key(pages.home.lab("red"))
    assert f"[localhost]:2222 {access.door_key(pages.home).public.split()[0]}" in red.get("/files/red.known_hosts").text
    assert "Host red-node-1 node-1" in red.get("/files/config").text
    assert red.get("/files/openrc").status_code == 404  # this lab has no cloud


def test_after_a_swap_a_team_sees_the_lab_that_it_works_on_and_gets_no_keys(pages: Pages) -> None:
    open_round(pages.home, player="red", lab="blue")
    open_round(pages.home, player="blue", lab="red")
    red = pages.browser("red")
    page = red.until("Nodes of blue")
    assert str(pages.world.plan("blue").nodes[0].mgmt) in page
    assert red.get("/files/red.key").status_code == 404
    assert red.get("/files/blue.key").status_code == 404


def test_a_hint_costs_what_the_page_said_and_only_once(pages: Pages) -> None:
    open_round(pages.home)
    red = pages.browser("red")
    page = red.until("Hint 1 costs")
    assert "Say what works" not in page
    answer = red.post("/hint", slot="1", number="1")
    assert "Say what works before" in answer.text
    assert red.post("/hint", slot="1", number="1").status_code == 400  # somebody pressed twice
    taken = [event for event in events.every(pages.home, "red") if isinstance(event, HintTaken)]
    assert len(taken) == 1
    assert "Hint 2 costs" in red.get("/").text


def test_a_report_is_written_down_and_what_is_no_report_is_refused(pages: Pages) -> None:
    open_round(pages.home)
    red = pages.browser("red")
    red.until("Report what is broken")
    assert red.post("/report", service="chrony", node="node-1").status_code == 200
    assert red.post("/report", service="nonsense").status_code == 400
    assert red.post("/report").status_code == 400
    assert red.post("/report", nothing="yes").status_code == 200
    assert "<dt>Reports</dt><dd>2</dd>" in red.get("/").text


def test_red_checks_are_for_the_organiser_alone_and_the_stuck_come_first(pages: Pages) -> None:
    open_round(pages.home)
    events.append(pages.home, "red", Checked(at=time.time(), verdicts={"B05": "FAIL", "B01": "PASS"}))
    page = pages.browser("").until("B05")
    assert page.index(">red</a>") < page.index(">blue</a>")  # blue does not play
    red = pages.browser("red").until("Round one")
    assert "B05" not in red.replace('placeholder="B05"', "")


def test_the_public_sees_places_and_that_they_are_frozen(pages: Pages) -> None:
    nobody = pages.browser()
    assert "No round was opened yet" in nobody.get("/score").text
    open_round(pages.home)
    page = nobody.until("Round one", "/score")
    assert ">red</th>" in page
    events.append(pages.home, "red", Frozen(at=time.time(), since=time.time()))
    nobody.until("frozen", "/score")


def test_too_large_a_form_is_refused(pages: Pages) -> None:
    assert pages.browser("red").post("/hand", up="yes", text="x" * 20_000).status_code == 400
    assert pages.browser("red").post("/hand", **{f"f{number}": "" for number in range(60)}).status_code == 400


def test_pages_that_wait_do_not_keep_the_server_from_ending(world: World, pages: Pages) -> None:
    stream = pages.browser("").get("/events", stream=True)
    assert next(stream.iter_lines(chunk_size=1))
    # The fixture ends the server with this page still waiting, in time.


def test_the_certificate_is_kept_until_another_name_is_wanted(world: World) -> None:
    path = server.self_made(world.home, ())
    first = path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert server.self_made(world.home, ("127.0.0.1",)).read_text() == first
    assert server.self_made(world.home, ("class.example.org",)).read_text() != first


def test_hands_are_still_up_after_a_crash(world: World) -> None:
    hands.put(world.home, "red", up=True, text="first")
    hands.put(world.home, "red", up=True, text="second")
    hands.put(world.home, "blue", up=True)
    hands.put(world.home, "blue", up=False)
    with (world.home.root / "door/hands.jsonl").open("a") as file:
        file.write('{"at": 1, "team": "torn')
    assert [(hand.team, hand.text) for hand in hands.raised(world.home).values()] == [("red", "first")]
    hands.put(world.home, "red", up=False)
    assert hands.raised(world.home) == {}


@pytest.mark.parametrize(("seconds", "said"), [(0, "00:00"), (61, "01:01"), (3661.4, "1:01:01")])
def test_clocks(seconds: float, said: str) -> None:
    assert views.clock(seconds) == said


def test_a_spreadsheet_takes_nothing_for_a_formula(pages: Pages) -> None:
    hands.put(pages.home, "red", up=True, text='=HYPERLINK("x")')
    pages.browser("").until("HYPERLINK")
    assert "'=HYPERLINK" in pages.browser("").get("/board.csv").text
