"""Terminals in browsers, by real WebSockets over TLS on loopback, to a node that is an SSH server."""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection

from labctl.board import windows
from labctl.door import terminals
from labctl.lab import access
from labctl.lab.sessions import SessionEvent
from tests.unit.test_board import Browser, Pages, pages

__all__ = ["pages"]  # a fixture

NODE_1 = "/open/terminal/node-1/socket"
SCREEN = "/open/picture/node-1/socket"
CONSOLE = "/open/console/node-1/socket"


def said(socket: ClientConnection, until: str) -> str:
    """Read until a text was printed or told."""
    text = ""
    while until not in text:
        got = socket.recv(timeout=20)
        text += got.decode() if isinstance(got, bytes) else json.dumps(json.loads(got))
    return text


def the_end(socket: ClientConnection) -> str:
    """Read to the end; return why it is over."""
    told = [json.loads(got) for got in socket if isinstance(got, str)]
    return str(told[-1]["end"])


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def recorded(pages: Pages) -> list[tuple[str, str, str, str]]:
    return [(event.event, event.team, event.what, event.where) for event in opened(pages)]


def opened(pages: Pages) -> list[SessionEvent]:
    return [event for event in pages.events if event.event in ("open", "end")]


def join(pages: Pages) -> tuple[Browser, str]:
    """Return the organiser's browser, and the address of red's only terminal."""
    organiser = pages.browser("")
    found = re.search(r"/team/red/join/[0-9a-f]+", organiser.until("/team/red/join/", "/team/red"))
    assert found is not None
    return organiser, f"{found[0]}/socket"


def test_what_is_typed_in_a_browser_reaches_the_shell_and_its_answer_comes_back(pages: Pages) -> None:
    red = pages.browser("red")
    with red.socket(f"{NODE_1}?columns=123&rows=40") as shell:
        assert said(shell, "$ ") == "xterm-256color 123 $ "
        shell.send(b"hello\n")
        assert "you said hello" in said(shell, "hello")
        shell.send(json.dumps({"size": [77, 20]}))
        assert "size 77" in said(shell, "size 77")
        assert the_end(shell) == "It has ended."
    assert [line[:2] for line in pages.labs.dialled] == [("red", "red-node-1")]


def test_a_terminal_is_on_record_from_its_begin_to_its_end(pages: Pages) -> None:
    with pages.browser("red").socket(NODE_1) as shell:
        said(shell, "$ ")
    until(lambda: len(opened(pages)) == 2)
    assert recorded(pages) == [
        ("open", "red", "browser terminal", "node-1"),
        ("end", "red", "browser terminal", "node-1"),
    ]
    first, last = opened(pages)
    assert (first.address, first.connection) == ("127.0.0.1", last.connection)
    assert last.seconds is not None


def test_who_comes_by_a_browser_and_who_does_not_is_on_record(pages: Pages) -> None:
    pages.browser().post("/login", team="red", password="wrong", token="")
    pages.browser().post("/login", team="red", password=access.known(pages.home, "red").password, token="")
    pages.browser("blue")
    until(lambda: len(pages.events) == 4)  # the first is the organiser's
    assert [(event.event, event.team, event.what) for event in pages.events[1:]] == [
        ("failed", "red", "browser, password"),
        ("login", "red", "browser, password"),
        ("login", "blue", "browser, link"),
    ]


def test_the_page_of_a_terminal_is_for_nodes_of_the_lab_and_names_its_socket(pages: Pages) -> None:
    red = pages.browser("red")
    assert 'href="/open/terminal/node-1"' in red.get("/").text
    page = red.get("/open/terminal/node-1")
    assert 'data-socket="/open/terminal/node-1/socket"' in page.text
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert policy.count("unsafe-inline") == 1  # of styles
    for strange in ("/open/terminal/node-9", "/open/spoon/node-1", "/open/terminal/..%2fnode-1"):
        assert red.get(strange).status_code == 404


def test_a_page_without_its_libraries_says_how_to_get_them(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "LIBRARIES", Path("/nowhere"))
    page = pages.browser("red").get("/open/terminal/node-1").text
    assert "make setup" in page
    assert "terminal.js" not in page


def test_why_there_is_no_terminal_is_told_in_words(pages: Pages) -> None:
    pages.labs.dead.add("node-1")
    red = pages.browser("red")
    with red.socket(NODE_1) as shell:
        assert "does not answer on port 22" in the_end(shell)
    with red.socket("/open/terminal/node-9/socket") as shell:
        assert the_end(shell) == "red has no node node-9."
    assert recorded(pages) == []


def test_nonsense_from_a_page_is_not_done_and_harms_nothing(pages: Pages) -> None:
    with pages.browser("red").socket(f"{NODE_1}?columns=x&rows=99999999") as shell:
        assert said(shell, "$ ") == "xterm-256color 80 $ "
        for text in ("", "{", "[]", "null", '{"size": "x"}', '{"read": -5}', '{"take": true}', '{"size": [true, 1]}'):
            shell.send(text)
        shell.send(b"still there\n")
        assert "you said still there" in said(shell, "there")


def test_a_reset_ends_the_terminals_of_its_node(pages: Pages) -> None:
    red = pages.browser("red")
    with red.socket(NODE_1) as gone, red.socket(NODE_1.replace("node-1", "node-2")) as stays:
        said(gone, "$ ")
        said(stays, "$ ")
        pages.labs.generations["red", "node-1"] = 1
        assert "node-1 was reset or removed" in the_end(gone)
        stays.send(b"here\n")
        assert "you said here" in said(stays, "here")


def test_a_new_password_ends_the_terminals_of_a_team(pages: Pages) -> None:
    with pages.browser("red").socket(NODE_1) as shell:
        said(shell, "$ ")
        access.renew(pages.home, "red")
        assert the_end(shell) == "You are logged in no more."
    until(lambda: len(opened(pages)) == 2)


def test_no_more_is_sent_than_a_browser_has_shown(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    """A browser that reads nothing keeps the shell waiting, not this machine's memory; it goes on where it was."""
    monkeypatch.setattr("labctl.board.sockets._WINDOW", 1000)
    monkeypatch.setattr("labctl.door.shell._MOST", 500)
    with pages.browser("red").socket(NODE_1) as shell:
        count = len(said(shell, "$ "))
        sent = [b"%04d" % number + b"x" * 500 + b"\n" for number in range(40)]
        want = b"".join(b"you said " + line for line in sent)
        for line in sent:
            shell.send(line)
        got = b""
        with contextlib.suppress(TimeoutError):
            while len(got) < len(want):
                got += bytes(shell.recv(timeout=1.5))  # type: ignore[arg-type]
        assert len(got) < len(want) / 2
        shell.send(json.dumps({"read": count + len(got)}))
        while len(got) < len(want):
            more = bytes(shell.recv(timeout=20))  # type: ignore[arg-type]
            got += more
            shell.send(json.dumps({"read": len(more)}))
        assert got == want


# -- the organiser -----------------------------------------------------------------------------------------------------


def test_the_organiser_sees_a_teams_terminal_from_its_begin_and_the_team_is_told(pages: Pages) -> None:
    with pages.browser("red").socket(f"{NODE_1}?columns=123&rows=40") as shell:
        said(shell, "$ ")
        shell.send(b"before\n")
        said(shell, "you said before")
        organiser, place = join(pages)
        with organiser.socket(place) as look:
            text = said(look, "you said before")
            assert text.startswith('{"size": [123, 40]}{"replay": ')
            assert "xterm-256color 123 $ " in text
            assert "Your organiser looks at this terminal." in said(shell, "looks at")
            look.send(b"not typed\n")
            shell.send(b"both see it\n")
            assert "you said both see it" in said(look, "both see it\n")
            assert "not typed" not in said(shell, "both see it\n")
        assert "has left" in said(shell, "has left")
    until(lambda: len(opened(pages)) == 3)
    assert ("open", "red", "browser terminal joined by the organiser", "node-1") in recorded(pages)


def test_the_organiser_takes_a_terminal_over_and_gives_it_back(pages: Pages) -> None:
    with pages.browser("red").socket(NODE_1) as shell:
        said(shell, "$ ")
        organiser, place = join(pages)
        with organiser.socket(place) as look:
            said(shell, "looks at")
            look.send(json.dumps({"take": True}))
            assert "Your organiser types now." in said(shell, "types now")
            shell.send(b"not typed\n")
            look.send(b"organised\n")
            assert "you said organised" in said(shell, "organised")
            look.send(json.dumps({"take": False}))
            assert "You can type again." in said(shell, "again")
            shell.send(b"mine\n")
            text = said(look, "you said mine")
            assert "not typed" not in text
    until(lambda: ("end", "red", "browser terminal", "node-1") in recorded(pages))


def test_whoever_only_looks_and_is_slow_does_not_keep_the_team_waiting(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labctl.board.sockets._WINDOW", 1000)
    monkeypatch.setattr(terminals, "_SLOW", 0.2)
    with pages.browser("red").socket(NODE_1) as shell:
        said(shell, "$ ")
        organiser, place = join(pages)
        with organiser.socket(place) as look:
            said(shell, "looks at")
            for number in range(10):
                shell.send(b"x" * 500 + b"%d\n" % number)
                text = said(shell, f"x{number}\n")
                shell.send(json.dumps({"read": len(text)}))
            assert "too slow" in the_end(look)


def test_a_team_has_no_more_terminals_than_it_may(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminals, "_OF_A_TEAM", 1)
    red = pages.browser("red")
    with red.socket(NODE_1) as first:
        said(first, "$ ")
        with red.socket(NODE_1) as second:
            assert "has 1 terminals open" in the_end(second)


# -- serial consoles ---------------------------------------------------------------------------------------------------


def test_a_serial_console_shows_what_was_printed_before_and_takes_what_is_typed(pages: Pages) -> None:
    red = pages.browser("red")
    assert 'data-socket="/open/console/node-1/socket"' in red.get("/open/console/node-1").text
    with red.socket(CONSOLE) as console:
        assert said(console, "booted ") == '{"replay": 10}it booted '
        console.send(b"root")
        assert said(console, "root") == "root"
    until(lambda: ("end", "red", "browser console", "node-1") in recorded(pages))
    until(lambda: pages.labs.lines == 0)


def test_all_who_open_the_serial_console_of_a_node_share_it(pages: Pages) -> None:
    with pages.browser("red").socket(CONSOLE) as one, pages.browser("").socket(f"/team/red{CONSOLE}") as other:
        for console in (one, other):
            said(console, "booted ")
        one.send(b"login")
        assert "login" in said(other, "login")
        assert pages.labs.consoles == [("red", "node-1")]
    with pages.browser("red").socket(CONSOLE) as again:
        said(again, "booted ")
    assert pages.labs.consoles == [("red", "node-1")] * 2


def test_a_console_ends_with_its_node_and_says_why_there_is_none(pages: Pages) -> None:
    red = pages.browser("red")
    with red.socket(CONSOLE) as console:
        said(console, "booted ")
        console.send(b"stop")
        assert the_end(console) == "It has ended."
    pages.labs.dead.add("node-1")
    with red.socket(CONSOLE) as console:
        assert the_end(console) == "node-1 of red is shut off. labctl start red."


def test_what_is_typed_and_not_taken_keeps_nothing_from_being_shown(pages: Pages) -> None:
    with pages.browser("red").socket(CONSOLE) as console:
        said(console, "booted ")
        console.send(b"flood")
        console.send(b"stall")
        got = 0
        while got < 1_000_000:  # more than may be on its way
            some = len(console.recv(timeout=2))
            got += some
            console.send(json.dumps({"read": some}))
        assert not pages.labs.stalled.is_set()
        pages.labs.stalled.set()


def test_whoever_pastes_without_end_is_stopped(pages: Pages, monkeypatch: pytest.MonkeyPatch) -> None:
    with pages.browser("red").socket(CONSOLE) as console:
        said(console, "booted ")
        console.send(b"stall")
        with contextlib.suppress(ConnectionClosed):  # the door may hang up before the last of them
            for _ in range(300):
                console.send(b"x")
        assert the_end(console) == "That was too much at once."
        pages.labs.stalled.set()


def test_a_console_that_prints_faster_than_browsers_read_keeps_the_last_of_it(pages: Pages) -> None:
    with pages.browser("red").socket(CONSOLE) as console:
        said(console, "booted ")
        console.send(b"flood")
        got = bytes(console.recv(timeout=20))  # type: ignore[arg-type]
        console.send(b"the last")
        time.sleep(0.5)
        while not got.endswith(b"the last"):
            console.send(json.dumps({"read": len(got)}))
            got += bytes(console.recv(timeout=20))  # type: ignore[arg-type]
        assert len(got) < 2_500_000


# -- screens -----------------------------------------------------------------------------------------------------------


def test_the_bytes_of_a_screen_go_both_ways_and_are_on_record(pages: Pages) -> None:
    red = pages.browser("red")
    page = red.get("/open/picture/node-1")
    assert 'data-socket="/open/picture/node-1/socket"' in page.text
    assert "unsafe" not in page.headers["content-security-policy"]
    with red.socket(SCREEN) as screen:
        screen.send(b"RFB 003.008")
        assert screen.recv(timeout=20) == b"RFB 003.008"
    until(lambda: ("end", "red", "browser screen", "node-1") in recorded(pages))
    until(lambda: pages.labs.lines == 0)


def test_a_reset_no_password_and_no_node_end_a_screen(pages: Pages) -> None:
    red = pages.browser("red")
    with red.socket(SCREEN) as screen, red.socket(SCREEN.replace("node-1", "node-2")) as other:
        screen.send(b"x")
        screen.recv(timeout=20)
        pages.labs.generations["red", "node-1"] = 1
        assert list(screen) in ([], [b"!"])
        other.send(b"y")
        assert other.recv(timeout=20) == b"y"
        access.renew(pages.home, "red")
        assert list(other) in ([], [b"!"])
    pages.labs.dead.add("node-2")
    with pages.browser("red").socket(SCREEN.replace("node-1", "node-2")) as screen:
        assert list(screen) == []
