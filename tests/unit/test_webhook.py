"""labctl events: what is told to whom, and that a receiver on loopback gets each event once, signed, in order."""

from __future__ import annotations

import base64
import hmac
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import InputError, LabctlError, LockedError
from labctl.lab import events, hands, webhook
from labctl.lab.feed import Feed, Happened
from labctl.report import feed as views
from labctl.rounds.events import Checked, Closed, Event, Healed, HintTaken, Injected, Note, Opened, Reported, Restarted
from labctl.state import Home

FAULT = Injected(
    at=2, fault="KS-04", slot=1, level=2, entry="e1", red=("B03",), nodes=("db-node",), services=("mysql",)
)


class Receiver:
    """Takes events over HTTP.

    Attributes:
        answers: statuses to answer with, one a request; 200 when none is left.
        got: bodies of the requests that were answered with 200, checked for their signature.
        asked: how many requests came.
    """

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[dict[str, Any]] = []
        self.asked = 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.key = b""
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.asked += 1
                receiver.go_on.wait(10)
                status = receiver.answers.pop(0) if receiver.answers else 200
                if status == 200:
                    receiver.check(self.headers["webhook-id"], self.headers["webhook-timestamp"], body)
                    assert self.headers["webhook-signature"] == receiver.signature
                    receiver.got.append(json.loads(body))
                self.send_response(status)
                if status == 302:
                    self.send_header("location", f"http://127.0.0.1:{receiver.port}/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,)).start()

    def check(self, name: str, stamp: str, body: bytes) -> None:
        signed = f"{name}.{stamp}.".encode() + body
        self.signature = "v1," + base64.b64encode(hmac.digest(self.key, signed, "sha256")).decode()
        assert abs(time.time() - int(stamp)) < 60

    @property
    def kinds(self) -> list[str]:
        return [each["kind"] for each in self.got]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(webhook, "_FIRST", 0.01)
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def play(home: Home, *happened: Event, lab: str = "red", player: str = "red") -> None:
    events.append(home, lab, Opened(at=1, round="one", minutes=30, player=player, faults=1), *happened)


def target(home: Home, receiver: Receiver, path: str = "/hook") -> webhook.Hook:
    made = webhook.hook(f"http://127.0.0.1:{receiver.port}{path}", webhook.own_secret(home).read_text())
    receiver.key = made.secret
    return made


def deliver(home: Home, receiver: Receiver, *, start: bool = True, view: str = "organiser") -> list[str]:
    said: list[str] = []
    webhook.deliver(
        home,
        target(home, receiver),
        lambda happened: views.document(happened, view),
        told=said.append,
        how=webhook.Posting(start=start, once=True),
    )
    return said


# -- what is told ------------------------------------------------------------------------------------------------------


def news(home: Home) -> list[Happened]:
    def failed(error: LabctlError) -> None:
        raise error

    return Feed(home, {}, failed=failed).news()


def test_events_of_all_labs_and_hands_come_in_their_order(home: Home) -> None:
    play(home, HintTaken(at=5, slot=1, number=1))
    play(home, HintTaken(at=4, slot=1, number=2), lab="blue", player="green")  # after a swap
    hands.put(home, "red", up=True, text="help")
    documents = [views.document(each, "organiser") or {} for each in news(home)]
    assert [(each["kind"], each["team"], each["lab"]) for each in documents] == [
        ("round opened", "green", "blue"),
        ("round opened", "red", "red"),
        ("hint taken", "green", "blue"),
        ("hint taken", "red", "red"),
        ("hand raised", "red", None),
    ]
    assert [each["round"] for each in documents] == ["one"] * 4 + [None]
    assert documents[-1]["facts"] == {"text": "help"}
    assert len({each["id"] for each in documents}) == 5


def test_the_public_cannot_tell_a_round_with_faults_from_a_drill(home: Home) -> None:
    common = (HintTaken(at=3, slot=1, number=1), Checked(at=4, verdicts={"B03": "FAIL"}))
    reported = Reported(at=5, service="mysql", node="db-node")
    play(
        home,
        FAULT,
        Restarted(at=2, slot=1, held=True),
        Healed(at=2, slot=1),
        Note(at=2, text="mysql"),
        *common,
        reported,
    )
    drill = Opened(at=1, round="one", minutes=30, player="red", faults=0)
    events.append(home, "blue", drill, *common, Reported(at=5, nothing=True))
    seen: dict[str, list[Any]] = {"red": [], "blue": []}
    for each in news(home):
        if (document := views.document(each, "public")) is not None:
            seen[each.lab].append((document["kind"], document["facts"]))
    assert seen["red"] == seen["blue"]
    assert "mysql" not in json.dumps(seen)


def test_the_id_of_an_event_stays_and_tells_nothing_of_what_is_sealed_in_it(tmp_path: Path) -> None:
    homes = Home(tmp_path / "one"), Home(tmp_path / "other")
    for each in homes:
        play(each)
    one, again, other = ([happened.id for happened in news(each)] for each in (homes[0], homes[0], homes[1]))
    assert one == again
    assert one != other  # or whoever guesses the faults of a round could prove the guess


def test_a_damaged_file_is_told_once_and_hides_no_other(home: Home) -> None:
    play(home)
    (home.lab("red").path / events.FILE).write_text("nonsense\n")
    play(home, lab="blue", player="blue")
    failures: list[LabctlError] = []
    feed = Feed(home, {}, failed=failures.append)
    assert [each.lab for each in feed.news()] == ["blue"]
    assert feed.news() == []
    assert len(failures) == 1


# -- posting -----------------------------------------------------------------------------------------------------------


def test_each_event_is_posted_once_signed_and_in_order(home: Home, receiver: Receiver) -> None:
    play(home, FAULT)
    deliver(home, receiver)
    events.append(home, "red", Closed(at=9))
    deliver(home, receiver)
    deliver(home, receiver)
    assert receiver.kinds == ["round opened", "fault injected", "closed"]


def test_what_happened_before_the_first_run_is_posted_only_if_asked_for(home: Home, receiver: Receiver) -> None:
    play(home)
    deliver(home, receiver, start=False)
    events.append(home, "red", Closed(at=9))
    hands.put(home, "red", up=True)
    deliver(home, receiver, start=False)
    assert receiver.kinds == ["closed", "hand raised"]


def test_a_receiver_that_is_busy_or_away_gets_the_event_later(home: Home, receiver: Receiver) -> None:
    play(home, FAULT)
    receiver.answers = [503, 429, 500]
    said = deliver(home, receiver)
    assert receiver.kinds == ["round opened", "fault injected"]
    assert receiver.asked == 5
    assert "not posted yet (503 Service Unavailable)" in said[0]


@pytest.mark.parametrize("status", [302, 401, 404])
def test_a_wrong_address_ends_it_and_the_next_run_goes_on_there(home: Home, receiver: Receiver, status: int) -> None:
    play(home, FAULT, Closed(at=9))
    receiver.answers = [200, status]
    with pytest.raises(LabctlError, match="takes no events"):
        deliver(home, receiver)
    assert (receiver.kinds, receiver.asked) == (["round opened"], 2)
    deliver(home, receiver)
    assert receiver.kinds == ["round opened", "fault injected", "closed"]


def test_an_event_that_is_never_taken_does_not_hold_up_the_next(home: Home, receiver: Receiver) -> None:
    play(home, FAULT)
    receiver.answers = [422]
    said = deliver(home, receiver)
    assert receiver.kinds == ["fault injected"]
    assert "left out" in said[0]


def test_a_lab_that_was_made_anew_is_read_from_its_begin(home: Home, receiver: Receiver) -> None:
    play(home, HintTaken(at=2, slot=1, number=1))
    deliver(home, receiver)
    home.remove_lab("red")
    events.append(home, "red", Opened(at=7, round="two", minutes=30, player="red", faults=1))
    deliver(home, receiver)
    assert [each["round"] for each in receiver.got] == ["one", "one", "two"]


def test_a_round_does_not_wait_for_a_receiver_that_hangs(home: Home, receiver: Receiver) -> None:
    play(home)
    receiver.go_on.clear()
    posting = threading.Thread(target=deliver, args=(home, receiver))
    posting.start()
    while not receiver.asked:
        time.sleep(0.01)
    began = time.monotonic()
    events.append(home, "red", Closed(at=9))
    assert time.monotonic() - began < 1
    with pytest.raises(LockedError):  # nor is anything posted twice, by a second run
        deliver(home, receiver)
    receiver.go_on.set()
    posting.join(20)
    assert receiver.kinds[0] == "round opened"


def test_an_address_or_a_secret_that_is_none_is_named(home: Home) -> None:
    good = webhook.own_secret(home).read_text()
    for url in ("chat.example.org", "ftp://h/", "http://", "http://u:p@h/", "http://h:99999/", "http://h/ x"):
        with pytest.raises(InputError):
            webhook.hook(url, good)
    for secret in ("", "whsec_", "whsec_!", "whsec_c2hvcnQ="):
        with pytest.raises(InputError):
            webhook.hook("https://h/", secret)
    made = webhook.hook("https://h/hooks/token", good)
    assert made.shown == "https://h"  # the path may be a secret
    assert "token" not in made.name
    assert webhook.own_secret(home).stat().st_mode & 0o777 == 0o600
