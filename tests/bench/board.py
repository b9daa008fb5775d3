"""Measures what the web pages cost with twenty teams: at rest, with their pages open, and when something happens.

    python -m tests.bench.board

The server is a process of its own, on loopback, with TLS. Teams and their labs (gridka) are recorded states: a
state folder as `create` writes it, a round that goes on in each lab, and a fake host that says what libvirt would say.
Measured are the server's process, by /proc, and how long a browser would wait.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import requests

from labctl.board import server
from labctl.board.server import Listening
from labctl.door import hall
from labctl.lab import access, events, notices, passes
from labctl.lab.visit import Visits
from labctl.rounds.events import Checked, HintTaken, Opened, Reset, Started
from labctl.site import site
from labctl.spec import scoring
from labctl.state import Home
from tests.bench.door import resident, say, share, start, stop
from tests.unit.fake_site import World

TEAMS = tuple(f"team{number:02}" for number in range(1, 21))
TIMES = 10
SECONDS = 20.0


def prepare(folder: Path) -> World:
    """Make twenty labs, each in the middle of a round."""
    world = World(folder)
    world.create(*TEAMS, named="gridka", overcommit=True)
    rules, now = scoring.Rules().model_dump(mode="json"), time.time() - 600
    verdicts = {f"B{number:02}": "FAIL" if number == 5 else "PASS" for number in range(1, 21)}
    for team in TEAMS:
        access.give(world.home, team)
        opened = Opened(at=now, round="one", minutes=45, player=team, faults=1, rules=rules)
        played = [Checked(at=now + 30 * number, verdicts=verdicts) for number in range(10)]
        hint, reset = HintTaken(at=now + 400, slot=1, number=1), Reset(at=now + 410, nodes=("db-node",))
        events.append(world.home, team, opened, Started(at=now), *played, hint, reset)
    return world


async def serve(folder: Path) -> None:
    """Be the server, until somebody ends it."""
    world = prepare(folder)

    @contextlib.contextmanager
    def there(*_: Any, **__: Any) -> Iterator[Any]:
        yield world.site()

    site.opened = there
    pem = server.self_made(world.home, ())
    where = Listening(address="127.0.0.1", port=0, certificate=pem, key=pem, ssh_port=2222)
    async with (
        hall.opened(Visits(world.home), record=lambda _: None, failed=say) as behind,
        server.opened(world.home, where, behind, failed=say) as port,
    ):
        say(port)
        await asyncio.Event().wait()


class Browser:
    """Follows the pages of a team, or the board (""), as the script of the pages does.

    Attributes:
        page: what it shows.
    """

    def __init__(self, home: Home, port: int, team: str) -> None:
        self.page = ""
        self._url = f"https://localhost:{port}"
        self._session = requests.Session()
        self._session.verify = str(home.root / "door" / "tls.pem")
        self._session.trust_env = False
        link = passes.issue(home, team, passes.LINK, seconds=600)
        self._session.get(f"{self._url}/in/{link}", timeout=60)

    def load(self, path: str = "/") -> float:
        """Load a page; return the seconds that it took."""
        began = time.monotonic()
        self.page = self._session.get(self._url + path, timeout=60).text
        return time.monotonic() - began

    def follow(self) -> None:
        """Load the page again whenever the server says that something has changed, in a thread that dies with us."""

        def run() -> None:
            with contextlib.suppress(requests.RequestException):  # the server was ended
                for line in self._session.get(f"{self._url}/events", stream=True, timeout=60).iter_lines(chunk_size=1):
                    if line.startswith(b"data"):
                        self.load()

        threading.Thread(target=run, daemon=True).start()

    def press(self, path: str, **fields: str) -> None:
        """Press a button."""
        token = self.page.partition('name="token" value="')[2].partition('"')[0]
        data, headers = {"token": token, **fields}, {"origin": self._url}
        assert self._session.post(self._url + path, data=data, headers=headers, timeout=60).ok


def follow(home: Home, port: int) -> None:
    """Be the browsers of all teams but one."""
    for team in TEAMS[1:]:
        Browser(home, port, team).follow()
    say(len(TEAMS) - 1)
    threading.Event().wait()


def measure() -> None:
    """Start the server, and print what it took."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        started: list[subprocess.Popen[str]] = []
        stack.callback(lambda: stop(started))
        port = start(started, "tests.bench.board", "serve", name)
        pid, home = started[0].pid, Home(Path(name) / "home")
        board, red = Browser(home, port, ""), Browser(home, port, TEAMS[0])
        while "8 of 8 run" not in board.page:
            board.load()
        say(f"nobody is there: {share(pid, SECONDS):.1%} of a core, {resident(pid):.0f} MiB")
        static = [board.load("/static/board.css") for _ in range(TIMES)]
        for what, browser in (("the board", board), ("a team's page", red)):
            took = [browser.load() for _ in range(TIMES)]
            times = statistics.median(took) / statistics.median(static)
            say(f"{what}, {len(browser.page) / 1024:.0f} KiB: {_ms(took)}; {times:.1f} times a static file")
        start(started, "tests.bench.board", "follow", name, str(port))
        board.follow()
        red.follow()
        time.sleep(5)
        say(f"20 team pages and the board are open: {share(pid, SECONDS):.1%} of a core, {resident(pid):.0f} MiB")
        raised = []
        for number in range(TIMES):
            red.press("/hand", up="no")
            time.sleep(3)
            raised.append(_until(board, f"word{number}", lambda text: red.press("/hand", up="yes", text=text)))
        say(f"a hand that a page raises is on the board after {_ms(raised)}")
        told = [_until(red, f"told{number}", lambda text: notices.give(home, [], text)) for number in range(TIMES)]
        say(f"a notice of the command line is on a team's page after {_ms(told)}")


def _until(browser: Browser, text: str, do: Callable[[str], object]) -> float:
    """Return the seconds until a page shows a text after something was done."""
    began = time.monotonic()
    do(text)
    while text not in browser.page:
        assert time.monotonic() < began + 60, text
        time.sleep(0.01)
    return time.monotonic() - began


def _ms(seconds: list[float]) -> str:
    return f"{statistics.median(seconds) * 1000:.0f} ms (at most {max(seconds) * 1000:.0f} ms)"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", folder]:
            asyncio.run(serve(Path(folder)))
        case ["follow", folder, port]:
            follow(Home(Path(folder) / "home"), int(port))
        case _:
            measure()
