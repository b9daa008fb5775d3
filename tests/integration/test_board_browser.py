"""A real browser, driven by WebDriver, on the classroom's pages: typing, pages that follow by themselves."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from labctl.lab import access, hands, notices, passes
from tests.unit.conftest import world
from tests.unit.test_board import Pages, open_round, pages

__all__ = ["pages", "world"]  # fixtures

pytestmark = pytest.mark.skipif(
    not (shutil.which("chromedriver") and shutil.which("chromium")), reason="needs chromium-driver"
)

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name of an element's ID, W3C WebDriver section 12.2
TAB, ENTER = "\ue004", "\ue007"


class Driver:
    """One browser window."""

    def __init__(self, server: str, folder: Path) -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", f"--user-data-dir={folder}"]
        wanted = {
            "acceptInsecureCerts": True,
            "goog:chromeOptions": {"args": [*flags, "--window-size=1200,900"]},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        made = self._session.post(f"{server}/session", json={"capabilities": {"alwaysMatch": wanted}}, timeout=120)
        assert made.ok, made.text
        self._url = f"{server}/session/{made.json()['value']['sessionId']}"

    def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = self._session.request(method, self._url + path, json=body if method == "POST" else None, timeout=60)
        assert answer.ok, answer.text
        return answer.json()["value"]

    def open(self, url: str) -> None:
        self.ask("POST", "/url", url=url)

    def find(self, selector: str) -> str:
        return str(self.ask("POST", "/element", using="css selector", value=selector)[_ELEMENT])

    def type(self, selector: str, text: str) -> None:
        self.ask("POST", f"/element/{self.find(selector)}/value", text=text)

    def click(self, selector: str) -> None:
        self.ask("POST", f"/element/{self.find(selector)}/click")

    def text(self) -> str:
        return str(self.ask("GET", f"/element/{self.find('main')}/text"))

    def until(self, text: str) -> None:
        """Wait until the page says something, without loading it again."""
        deadline = time.monotonic() + 30
        while text not in (said := self.text()):
            assert time.monotonic() < deadline, said
            time.sleep(0.05)

    def complaints(self) -> list[str]:
        """Return what the browser said of the page: scripts and styles that the policy forbids, errors."""
        return [entry["message"] for entry in self.ask("POST", "/se/log", type="browser")]

    def close(self) -> None:
        self._session.delete(self._url, timeout=30)
        self._session.close()


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[str]:
    """Start the WebDriver server; give its address."""
    with subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        for line in server.stdout:
            if found := re.search(r"on port ([1-9][0-9]*)", line):
                break
        assert found is not None
        yield f"http://127.0.0.1:{found[1]}"
        server.terminate()


def test_a_hand_raised_by_keyboard_appears_on_the_open_board_by_itself(
    pages: Pages,
    driver: str,
    tmp_path: Path,
) -> None:
    place = f"https://localhost:{pages.port}"
    with contextlib.ExitStack() as stack:
        board, team = (Driver(driver, tmp_path / name) for name in ("board", "team"))
        for browser in (board, team):
            stack.callback(browser.close)
        board.open(f"{place}/in/{passes.issue(pages.home, passes.ORGANISER, passes.LINK, seconds=60)}")
        assert "2 of 2 run" in board.text()
        board.click("details > summary")
        team.open(place)
        team.type("#team", f"red{TAB}{access.known(pages.home, 'red').password}{ENTER}")
        team.until("Raise a hand")
        team.type("#text", f"the clock is wrong{ENTER}")
        board.until("the clock is wrong")
        assert "It is shown on their pages" in board.text()  # what was opened is open
        team.until("Your hand is up")
        hands.put(pages.home, "red", up=False)
        team.until("Raise a hand")  # without loading the page again
        team.type("#text", "half a sentence")
        open_round(pages.home)
        board.until("running")
        notices.give(pages.home, [], "Lunch is at 12")
        team.until("Lunch is at 12")  # also on the page of somebody who is typing
        time.sleep(1.5)
        assert team.ask("GET", f"/element/{team.find('#text')}/property/value") == "half a sentence"
        for browser in (board, team):
            assert browser.complaints() == []
