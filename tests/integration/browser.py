"""A real browser, driven by WebDriver: Debian's Chromium."""

from __future__ import annotations

import base64
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

needs_chromium = pytest.mark.skipif(
    not (shutil.which("chromedriver") and shutil.which("chromium")), reason="needs chromium-driver"
)

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the name of an element's ID, W3C WebDriver section 12.2
_COLOURS = """
const canvas = document.querySelector("canvas"), copy = document.createElement("canvas"), seen = new Set();
const {width, height} = Object.assign(copy, {width: canvas.width, height: canvas.height});
const context = copy.getContext("2d", {willReadFrequently: true}); // the browser complains of pixels read often
context.drawImage(canvas, 0, 0);
const data = new Uint32Array(context.getImageData(0, 0, width, height).data.buffer);
data.forEach((pixel) => seen.add(pixel));
return seen.size;
"""
TAB, ENTER = "\ue004", "\ue007"


class BrowserError(AssertionError):
    """The browser could not do what it was asked for; its reasons."""


class Driver:
    """One browser window. It finds no name but localhost, so it reaches nothing outside.

    Args:
        server: the WebDriver server.
        folder: the browser's own.
        load: what `open` waits for: normal for the whole page, none for nothing.
    """

    def __init__(self, server: str, folder: Path, *, load: str = "normal") -> None:
        self._session = requests.Session()
        self._session.trust_env = False
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-proxy-server", f"--user-data-dir={folder}"]
        flags.append("--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE localhost")
        wanted = {
            "pageLoadStrategy": load,
            "acceptInsecureCerts": True,
            "goog:chromeOptions": {"args": [*flags, "--window-size=1200,900"]},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        made = self._session.post(f"{server}/session", json={"capabilities": {"alwaysMatch": wanted}}, timeout=120)
        assert made.ok, made.text
        self._url = f"{server}/session/{made.json()['value']['sessionId']}"

    def ask(self, method: str, path: str, **body: Any) -> Any:
        answer = self._session.request(method, self._url + path, json=body if method == "POST" else None, timeout=60)
        if not answer.ok:
            raise BrowserError(answer.text)
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
        """Return what the page says; nothing while it is being loaded again."""
        return str(self.script('return document.querySelector("main")?.innerText ?? ""'))

    def until(self, text: str, *, seconds: float = 30) -> None:
        """Wait until the page says something, without loading it again."""
        deadline = time.monotonic() + seconds
        while text not in (said := self.text()):
            assert time.monotonic() < deadline, said
            time.sleep(0.05)

    def keys(self, text: str) -> None:
        """Type where the focus is."""
        pressed = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self.ask("POST", "/actions", actions=[{"type": "key", "id": "keyboard", "actions": pressed}])

    def script(self, text: str) -> Any:
        """Return what a script in the page returns."""
        return self.ask("POST", "/execute/sync", script=text, args=[])

    def colours(self) -> int:
        """Count the colours of the page's only canvas."""
        return int(self.script(_COLOURS))

    def frame(self, selector: str | None) -> None:
        """Go into a frame of the page; None goes back to the page."""
        self.ask("POST", "/frame", id={_ELEMENT: self.find(selector)} if selector else None)

    def picture(self, file: Path) -> None:
        """Save what the window shows, as PNG."""
        file.write_bytes(base64.b64decode(self.ask("GET", "/screenshot")))

    def complaints(self) -> list[str]:
        """Return what the browser said of the page: scripts and styles that the policy forbids, errors."""
        return [entry["message"] for entry in self.ask("POST", "/se/log", type="browser")]

    def close(self) -> None:
        self._session.delete(self._url, timeout=30)
        self._session.close()


@pytest.fixture
def driver() -> Iterator[str]:
    """Start the WebDriver server; give its address."""
    with driving() as server:
        yield server


@contextlib.contextmanager
def driving() -> Iterator[str]:
    """Start the WebDriver server while a `with` statement lasts; give its address."""
    with subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        for line in server.stdout:
            if found := re.search(r"on port ([1-9][0-9]*)", line):
                break
        assert found is not None
        try:
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            server.terminate()
