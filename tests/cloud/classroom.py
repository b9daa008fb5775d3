"""Comes in by the classroom's doors to a lab with a cloud, as a team does: with OpenSSH, curl and a real browser.

    python -m tests.cloud.classroom TEAM FOLDER

Run it as root, with the LABCTL_HOME of a lab on a private host. It moves into a network namespace that has nothing but
loopback, and starts `labctl serve` there: browser and doors reach the lab, and nothing else. It logs in to the
dashboard by the door, and opens the screen of an instance. If there is none, it makes one, and removes it. Each step
prints its seconds, and saves a picture into the folder.
"""

# ruff: noqa: T201 - what it prints is its result
from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from labctl import waiting
from labctl.cloud.connect import Login, connect
from labctl.lab import access, hands, inside, passes
from labctl.site import site
from labctl.state import Home, records
from tests.integration.browser import ENTER, BrowserError, Driver, driving

LABCTL = Path(sys.executable).with_name("labctl")
SSH, WEB, DASHBOARDS, SOCKS = 2222, 8443, 8444, 1080
INSTANCES = f"https://localhost:{DASHBOARDS}/horizon/project/instances/"
SECONDS = 600.0
"""For one page of an emulated cloud; an instance gets thrice as long."""

_CUT_OFF = ("unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
_WHOLE = "return document.readyState === 'complete' && document.querySelector(%r) !== null"


def main(team: str, folder: Path) -> None:
    if Path("/proc/net/route").read_text().count("\n") > 1:
        os.execvp(_CUT_OFF[0], [*_CUT_OFF, sys.executable, "-m", "tests.cloud.classroom", team, str(folder)])
    folder.mkdir(parents=True, exist_ok=True)
    home = Home()
    with contextlib.ExitStack() as stack:
        if access.known_or_none(home, team) is None:
            access.give(home, team)
            stack.callback(access.remove, home, team)
        stack.enter_context(serving(folder / "serve.log"))
        lab = Lab.of(home, team)
        by_ssh(home, lab)
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        server = stack.enter_context(driving())
        board, own = (
            stack.enter_context(contextlib.closing(Driver(server, temporary / name, load="none")))
            for name in ("board", "team")
        )
        view = View(own, folder)
        link = passes.issue(home, team, passes.LINK, seconds=3600)
        try:
            the_pages(home, lab, view, View(board, folder), link)
            the_dashboard(lab, view)
            the_screen(view, stack.enter_context(instance(stack.enter_context(reached(home, lab)))))
        except BaseException:
            own.picture(folder / "failed.png")
            raise
    said = (folder / "serve.log").read_text()
    assert link not in said, "a link stands in the log"
    print(said)


@dataclass(frozen=True)
class Lab:
    """What is asked for.

    Attributes:
        node: where the dashboard is.
        name: the dashboard's public name.
        login: the entry of clouds.yaml of user demo.
    """

    team: str
    node: str
    name: str
    login: dict[str, Any]

    @classmethod
    def of(cls, home: Home, team: str) -> Lab:
        plan = records.plan_of(records.record_of(home, team))
        node = next(node.name for node in plan.nodes if "horizon" in node.roles)
        names = [name for entry in plan.hosts for name in entry.names]
        name = next(name for name in names if name.startswith(f"{node}."))
        clouds = yaml.safe_load(output(str(LABCTL), "openrc", team, "--clouds"))["clouds"]
        return cls(team, node, name, next(clouds[key] for key in clouds if key.endswith("demo")))


class View:
    """A browser's window, and where its pictures go."""

    def __init__(self, browser: Driver, folder: Path) -> None:
        self.browser, self.folder = browser, folder

    def see(self, name: str, selector: str, url: str | None = None) -> None:
        """Open a page, or wait for the one that opens, until it is whole and has an element; save a picture."""
        with step(name):
            if url is not None:
                self.browser.open(url)
            self.until(lambda: self.browser.script(_WHOLE % selector), f"a whole page with {selector}")
        self.browser.picture(self.folder / f"{name}.png")

    def click(self, selector: str) -> None:
        """Click on an element, which a page that follows may just be replacing."""

        def clicked() -> bool:
            self.browser.click(selector)
            return True

        self.until(clicked, f"something to click on: {selector}", seconds=60)

    def until(self, condition: Callable[[], Any], what: str, seconds: float = SECONDS) -> None:
        """Wait for a condition; a page that is just being left refuses to answer."""

        def there() -> bool:
            with contextlib.suppress(BrowserError):
                return bool(condition())
            return False

        assert waiting.until(there, seconds=seconds, pause=0.2), f"there is not: {what}"


def by_ssh(home: Home, lab: Lab) -> None:
    """Have curl load the dashboard's login page by its printed name, through OpenSSH's SOCKS proxy."""
    with tempfile.TemporaryDirectory() as folder:
        ask = Path(folder) / "ask"
        ask.write_text('#!/bin/sh\necho "$GIVEN"\n')
        ask.chmod(0o700)
        env = os.environ | {"SSH_ASKPASS": str(ask), "SSH_ASKPASS_REQUIRE": "force"}
        env["GIVEN"] = access.known(home, lab.team).password
        options = ["-F/dev/null", "-oStrictHostKeyChecking=accept-new", f"-oUserKnownHostsFile={folder}/known", "-N"]
        argv = ["ssh", *options, "-D", f"127.0.0.1:{SOCKS}", "-p", str(SSH), f"{lab.team}@127.0.0.1"]
        with subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL) as ssh:
            try:
                answers(SOCKS)
                url = f"http://{lab.name}/horizon/auth/login/"
                with step(f"curl over ssh -D: {url}"):
                    page = output(*curl(), "--fail", url)
                assert 'id="id_password"' in page, page[:2000]
                for place in (f"http://127.0.0.1:{WEB}/", "http://example.org/"):
                    assert subprocess.run([*curl(), place], capture_output=True, check=False).returncode != 0, place
            finally:
                ssh.terminate()


def the_pages(home: Home, lab: Lab, view: View, board: View, link: str) -> None:
    """Use the team's page: a terminal, a screen, a hand that the board shows."""
    hands.put(home, lab.team, up=False)
    place = f"https://localhost:{WEB}"
    organiser = passes.issue(home, passes.ORGANISER, passes.LINK, seconds=3600)
    view.see("team", "#dashboard", f"{place}/in/{link}")
    board.see("board-before", "table", f"{place}/in/{organiser}")
    board.browser.until(f"{lab.team}", seconds=60)
    view.browser.type("#text", "Why does the dashboard log me out?")
    with step("a hand is raised, until the board shows it"):
        view.browser.keys(ENTER)
        board.browser.until("log me out", seconds=60)
    board.browser.picture(board.folder / "board.png")
    view.until(lambda: "Lower the hand" in view.browser.text(), "a raised hand")
    view.click("#hand ~ form button")
    view.until(lambda: "Raise a hand" in view.browser.text(), "a hand to raise")
    view.see("terminal-begins", "#terminal", f"{place}/open/terminal/{lab.node}")
    with step("terminal"):
        view.browser.until(f"root@{lab.node}", seconds=SECONDS)
        view.browser.keys(f"systemctl is-active apache2; expr 6 \\* 7{ENTER}")
        view.browser.until("42", seconds=SECONDS)
    view.browser.picture(view.folder / "terminal.png")
    view.see("console-begins", "#terminal", f"{place}/open/console/{lab.node}")
    view.browser.until("Connected.", seconds=SECONDS)
    view.browser.picture(view.folder / "console.png")
    view.see("screen-begins", "#picture", f"{place}/open/picture/{lab.node}")
    with step(f"screen of {lab.node}"):
        view.until(lambda: view.browser.colours() > 1, "a picture on the canvas")
    view.browser.picture(view.folder / "screen.png")


def the_dashboard(lab: Lab, view: View) -> None:
    """Log in to the dashboard from the team's page, as the team's user of the cloud."""
    browser = view.browser
    view.see("team-again", "#dashboard ~ p a", f"https://localhost:{WEB}/")
    view.click("#dashboard ~ p a")
    view.see("login", "#id_username")
    assert str(browser.ask("GET", "/url")).startswith(f"https://localhost:{DASHBOARDS}/horizon/auth/login/")
    browser.type("#id_username", lab.login["auth"]["username"])
    browser.type("#id_password", lab.login["auth"]["password"])
    view.click("#loginBtn")
    view.see("overview", "#navbar-collapse")
    view.see("instances", "#instances", INSTANCES)


def the_screen(view: View, server: str) -> None:
    """Look at an instance's screen in the dashboard."""
    browser = view.browser
    view.see("instance", "iframe", f"{INSTANCES}{server}/?tab=instance_details__console")
    browser.script("document.querySelector('iframe').scrollIntoView()")
    browser.frame("iframe")
    with step("the instance's screen"):
        view.until(lambda: browser.colours() > 1, "a picture on the canvas")
        size = browser.script("const canvas = document.querySelector('canvas'); return [canvas.width, canvas.height]")
        print("its size:", size, "its colours:", browser.colours())
    time.sleep(2)  # the rest of the picture
    browser.frame(None)
    browser.picture(view.folder / "instance-screen.png")
    print("complaints of the browser:", [line for line in browser.complaints() if "favicon" not in line])


@contextlib.contextmanager
def serving(log: Path) -> Iterator[None]:
    """Open the doors while a `with` statement lasts."""
    doors = {"--ssh": SSH, "--https": WEB, "--dashboards": DASHBOARDS}
    argv = [str(LABCTL), "serve", *(word for door in doors for word in (door, f"127.0.0.1:{doors[door]}"))]
    with log.open("wb") as file, subprocess.Popen(argv, stdout=file, stderr=file) as serve:
        try:
            for port in doors.values():
                answers(port)
            yield
        finally:
            serve.terminate()


@contextlib.contextmanager
def reached(home: Home, lab: Lab) -> Iterator[Any]:
    """Log in to the cloud as the team's user while a `with` statement lasts; give the connection."""
    record = records.record_of(home, lab.team)
    auth = lab.login["auth"]
    login = Login(
        auth_url=auth["auth_url"],
        username=auth["username"],
        password=auth["password"],
        project=auth["project_name"],
        region=lab.login["region_name"],
    )
    with (
        site.opened(home, record.host, recorded=record.virt, start=False) as place,
        inside.opened(home, place, records.plan_of(record)) as dialer,
        contextlib.closing(connect(dialer, login, timeout=SECONDS)) as cloud,
    ):
        yield cloud


@contextlib.contextmanager
def instance(cloud: Any) -> Iterator[str]:
    """Give the ID of an instance that runs; one that is made for this is removed at the end."""
    found = next((server for server in cloud.compute.servers() if server.status == "ACTIVE"), None)
    if found is not None:
        print(f"There is {found.name}.")
        yield found.id
        return
    image = next(image for image in cloud.image.images() if image.status == "active")
    flavor = min(cloud.compute.flavors(), key=lambda flavor: flavor.ram)
    network = next(network for network in cloud.network.networks() if not network.is_router_external)
    with step("an instance is made"):
        made = cloud.compute.create_server(
            name="classroom", image_id=image.id, flavor_id=flavor.id, networks=[{"uuid": network.id}]
        )
        try:
            cloud.compute.wait_for_server(made, interval=5, wait=3 * SECONDS)
        except BaseException:
            cloud.compute.delete_server(made)
            raise
    try:
        yield made.id
    finally:
        with step("it is removed"):
            cloud.compute.delete_server(made)
            cloud.compute.wait_for_delete(made, interval=5, wait=SECONDS)


@contextlib.contextmanager
def step(title: str) -> Iterator[None]:
    """Print how long a step took."""
    began = time.monotonic()
    try:
        yield
    except BaseException as exc:
        print(f"{time.monotonic() - began:8.1f} s  FAILED  {title}: {exc}", flush=True)
        raise
    print(f"{time.monotonic() - began:8.1f} s  {title}", flush=True)


def answers(port: int) -> None:
    """Wait until somebody listens on a port of loopback."""

    def heard() -> bool:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
        return False

    assert waiting.until(heard, seconds=60), f"nobody listens on port {port}"


def curl() -> list[str]:
    """Return how curl goes through OpenSSH's proxy, which looks names up."""
    return ["curl", "-sS", "--max-time", str(SECONDS), "--proxy", f"socks5h://127.0.0.1:{SOCKS}"]


def output(*argv: str) -> str:
    """Return what a program prints."""
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
