"""Carries a terminal, or a screen, to a browser and back by a WebSocket.

A screen's bytes go as they are, and so do those that a terminal prints and that are typed. All else of a terminal is
JSON: `{"size": [columns, rows]}`, `{"read": bytes}` and `{"take": true}` from the page; `{"size": …}`, `{"say": text}`,
`{"end": text}` and `{"replay": bytes}`, of those that follow, to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from labctl.door.picture import Picture
from labctl.door.terminals import Size, Terminal
from labctl.errors import LabctlError

_WINDOW = 256 * 1024  # bytes on their way that the browser has not shown yet: Ctrl-C works while much is printed
_TYPED = 256  # messages with what was typed or pasted that may wait; pages send 16 KiB in one at most
_LARGEST = 500  # columns or rows
_CHECK = 2.0  # seconds between looks whether whoever sits there may still be there


class Browser:
    """A browser that shows a terminal.

    Args:
        socket: accepted.
        organiser: whose it is; else it is one of the team.
    """

    def __init__(self, socket: WebSocket, *, organiser: bool) -> None:
        self.organiser = organiser
        self._socket = socket
        self._unread = 0
        self._room = asyncio.Event()
        self._room.set()
        self._gone = False

    async def show(self, data: bytes) -> None:
        """Show what was printed; waits while much of it has not been shown yet."""
        await self._room.wait()
        self._unread += len(data)
        if self._unread > _WINDOW and not self._gone:
            self._room.clear()
        await self._send({"type": "websocket.send", "bytes": data})

    async def replay(self, data: bytes) -> None:
        """Show what was printed before."""
        await self._tell(replay=len(data))
        await self.show(data)

    async def say(self, text: str) -> None:
        """Show a line beside the terminal."""
        await self._tell(say=text)

    async def size(self, columns: int, rows: int) -> None:
        """Make the terminal that large."""
        await self._tell(size=[columns, rows])

    async def end(self, why: str) -> None:
        """Say why it is over, and close the connection."""
        await self._tell(end=why)
        await self._send({"type": "websocket.close", "code": 1000, "reason": ""})
        self.leave()

    def read(self, count: int) -> None:
        """Note that the browser has shown so many bytes more."""
        self._unread = max(0, self._unread - count)
        if self._unread <= _WINDOW:
            self._room.set()

    def leave(self) -> None:
        """Let nobody wait for it any more."""
        self._gone = True
        self._room.set()

    async def _tell(self, **words: object) -> None:
        await self._send({"type": "websocket.send", "text": json.dumps(words)})

    async def _send(self, message: dict[str, Any]) -> None:
        if not self._gone:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):  # it has gone meanwhile
                await self._socket.send(message)


async def carry(socket: WebSocket, browser: Browser, terminal: Terminal, *, allowed: Callable[[], bool]) -> None:
    """Join a terminal with a browser until one of them ends.

    Args:
        allowed: whether whoever sits there may still be there; asked again and again.
    """

    async def watch() -> None:
        while allowed():
            await asyncio.sleep(_CHECK)
        await browser.end("You are logged in no more.")

    typed: asyncio.Queue[bytes] = asyncio.Queue(_TYPED)

    async def type_() -> None:  # beside what follows: a shell may read nothing before the browser has shown more
        while True:
            await terminal.type(browser, await typed.get())

    tasks = [asyncio.create_task(work) for work in (terminal.join(browser), watch(), type_())]
    try:
        while (message := await socket.receive())["type"] == "websocket.receive":
            if (data := message.get("bytes")) is None:
                await _obey(terminal, browser, message.get("text") or "")
            elif typed.full():
                await browser.end("That was too much at once.")
            else:
                typed.put_nowait(data)
    except WebSocketDisconnect:
        pass
    finally:
        for task in tasks:
            task.cancel()
        browser.leave()
        await terminal.leave(browser)


async def relay(socket: WebSocket, picture: Picture, *, allowed: Callable[[], bool]) -> None:
    """Join a screen with a browser until one of them ends; see `carry`."""

    async def show() -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):  # the browser has gone meanwhile
            while data := await picture.read():
                await socket.send_bytes(data)
            await socket.close()

    async def watch() -> None:
        while allowed():
            await asyncio.sleep(_CHECK)
        picture.close()

    tasks = [asyncio.create_task(work) for work in (show(), watch())]
    try:
        while (message := await socket.receive())["type"] == "websocket.receive":
            await picture.write(message.get("bytes") or b"")
    except WebSocketDisconnect:
        pass
    finally:
        for task in tasks:
            task.cancel()


def size(columns: str, rows: str) -> Size | None:
    """Return how large a page says that its terminal is; None where it says nonsense."""
    if all(text.isdecimal() and len(text) < 4 and 1 < int(text) <= _LARGEST for text in (columns, rows)):
        return int(columns), int(rows)
    return None


def in_words(error: LabctlError) -> str:
    """Return an error as a page shows it."""
    return " ".join(f"{part.rstrip('.')}." for part in (error.brief, error.details, error.remedy) if part)


async def _obey(terminal: Terminal, browser: Browser, text: str) -> None:
    """Do what a page asks for besides typing; what it could not mean is not done."""
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        match json.loads(text):
            case {"read": int(count)}:
                browser.read(count)
            case {"size": [int(columns), int(rows)]}:
                if (wanted := size(str(columns), str(rows))) is not None:
                    await terminal.resize(browser, *wanted)
            case {"take": bool(taken)}:
                await terminal.take(browser, taken)
