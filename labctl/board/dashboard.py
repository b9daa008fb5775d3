"""A lab's own dashboard (Horizon) and, in it, the screens of its cloud's instances, for the team that works on the lab.

What it sends comes from nodes on which teams are root, other teams too after a swap. So it has a port of its own: to
browsers that is another origin than the classroom's pages, and no script of it can use them. It gets none of the
pages' cookies, and its own cookies go to no other lab.
"""

from __future__ import annotations

import asyncio
import http.client
import re
import tempfile
from collections.abc import Iterator
from typing import IO

import websockets.asyncio.client
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.exceptions import WebSocketException
from websockets.typing import Origin, Subprotocol

from labctl.board.origin import COOKIE, ours
from labctl.door.labs import Calls
from labctl.errors import InputError, LabctlError
from labctl.lab import passes
from labctl.lab.passes import Pass
from labctl.lab.visit import Line
from labctl.plan.model import LabPlan
from labctl.state import Home

_MARK = "__Host-labctl-lab"
"""Cookie that says whose the other cookies are: the lab's ID."""

_WEB, _CONSOLES = 80, 6080
_PREFIX = "consoles"
_CONSOLE_LINKS = re.compile(rb"http://[A-Za-z0-9.-]+:%d/" % _CONSOLES)
_LARGEST = 256 * 1024**2  # bytes of what is uploaded
_SECONDS = 120.0
_PIECE = 64 * 1024
_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}
_ASKED = {*_HOP, "host", "cookie", "origin", "referer", "accept-encoding", "content-length"}
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def application(home: Home, labs: Calls, *, pages: int) -> Starlette:
    """Return what answers at the dashboard's port.

    Args:
        pages: port of the classroom's pages, where teams log in.
    """
    proxy = _Proxy(home, labs, pages)
    return Starlette(
        routes=[
            WebSocketRoute("/", proxy.console),
            WebSocketRoute("/websockify", proxy.console),
            Route("/{path:path}", proxy.page, methods=_METHODS),
        ]
    )


class _Proxy:
    """Passes requests on to the nodes of the team's lab."""

    def __init__(self, home: Home, labs: Calls, pages: int) -> None:
        self._home, self._labs, self._pages = home, labs, pages

    async def page(self, request: Request) -> Response:
        """Pass a request on to the dashboard, or to what shows instances' screens."""
        session = self._team(request)
        if session is None:
            return RedirectResponse(f"https://{request.url.hostname}:{self._pages}/login", status_code=303)
        if request.headers.get("origin") is not None and not ours(request):
            raise HTTPException(403)
        of_consoles = request.path_params["path"].startswith(f"{_PREFIX}/")
        try:
            lab = await self._labs.plan(session.team)
            node = _node(lab, "nova" if of_consoles else "horizon")
            line = await self._labs.dial(session.team, node, _CONSOLES if of_consoles else _WEB)
        except LabctlError as exc:
            return PlainTextResponse(f"{exc}\n", status_code=502)
        mark = str(lab.identity.lab)
        known = request.cookies.get(_MARK) == mark
        path = str(request.scope["raw_path"], "ascii").removeprefix(f"/{_PREFIX}" if of_consoles else "")
        try:
            answer = await _ask(request, line, f"{path}?{request.url.query}".rstrip("?"), _asked(request, known=known))
        except HTTPException:
            line.release()
            raise
        except (OSError, http.client.HTTPException) as exc:
            line.release()
            return PlainTextResponse(f"{node} does not answer: {exc}\n", status_code=502)
        made = _answered(request, answer, line)
        if not known:
            _forget(request, made)
            made.set_cookie(_MARK, mark, secure=True, httponly=True, samesite="lax")
        return made

    async def console(self, socket: WebSocket) -> None:
        """Pass an instance's screen on, which the dashboard's page asks for by a token."""
        session = self._team(socket)
        if session is None or not ours(socket):
            await socket.close()
            return
        try:
            node = _node(await self._labs.plan(session.team), "nova")
            line = await self._labs.dial(session.team, node, _CONSOLES)
        except LabctlError:
            await socket.close()
            return
        host = f"{node}:{_CONSOLES}"
        try:
            async with websockets.asyncio.client.connect(
                f"ws://{host}/?{socket.url.query}",
                sock=line.socket,
                origin=Origin(f"http://{host}"),
                subprotocols=[Subprotocol("binary")],
                compression=None,
                max_size=None,
            ) as screen:
                wanted = socket.scope.get("subprotocols", [])
                await socket.accept("binary" if "binary" in wanted else None)
                await _join(socket, screen)
        except (OSError, TimeoutError, WebSocketException):
            await socket.close()
        finally:
            line.release()

    def _team(self, connection: HTTPConnection) -> Pass | None:
        """Return the pass of the team that asks; the organiser has no lab, and no dashboard."""
        text = connection.cookies.get(COOKIE, "")
        found = passes.read(self._home, text, passes.SESSION) if text else None
        return None if found is None or found.organiser else found


def _node(lab: LabPlan, role: str) -> str:
    found = next((node.name for node in lab.nodes if role in node.roles), None)
    if found is None:
        raise InputError(f"the lab of {lab.team} has no {role}")
    return found


def _asked(request: Request, *, known: bool) -> dict[str, str]:
    """Return the headers that go on.

    Args:
        known: whether the browser's cookies are those of this lab's dashboard.
    """
    kept = {name: value for name, value in request.headers.items() if name not in _ASKED}
    # Apache speaks no TLS there: Django compares the origin with the scheme that it sees.
    for name in ("origin", "referer"):
        if value := request.headers.get(name):
            kept[name] = re.sub("^https:", "http:", value)
    cookies = {name: value for name, value in request.cookies.items() if not name.startswith("__")}
    if known and cookies:
        kept["cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return kept | {"host": request.headers.get("host", ""), "accept-encoding": "identity", "connection": "close"}


async def _ask(request: Request, line: Line, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    """Send a request on a connection; return the answer, of which no more than the head has been read."""
    with tempfile.SpooledTemporaryFile(max_size=1024**2) as body:
        size = 0
        async for part in request.stream():
            size += len(part)
            if size > _LARGEST:
                line.socket.close()
                raise HTTPException(413)
            body.write(part)
        body.seek(0)
        if size or request.method in ("POST", "PUT", "PATCH"):
            headers = headers | {"content-length": str(size)}

        def ask() -> http.client.HTTPResponse:
            connection = http.client.HTTPConnection("lab", timeout=_SECONDS)
            line.socket.settimeout(_SECONDS)
            connection.sock = line.socket
            sent: IO[bytes] | None = body if size else None
            connection.request(request.method, path, body=sent, headers=headers)
            return connection.getresponse()

        try:
            return await asyncio.to_thread(ask)
        except BaseException:
            line.socket.close()
            raise


def _answered(request: Request, answer: http.client.HTTPResponse, line: Line) -> Response:
    """Return the answer as the browser gets it; links to this dashboard and its consoles lead here."""
    html = answer.headers.get_content_type() == "text/html"

    def parts() -> Iterator[bytes]:
        try:
            if html:
                yield _CONSOLE_LINKS.sub(b"/%s/" % _PREFIX.encode(), answer.read())
            else:
                while part := answer.read(_PIECE):
                    yield part
        finally:
            answer.close()
            line.socket.close()
            line.release()

    made = StreamingResponse(parts(), status_code=answer.status)
    dropped = {*_HOP, *(["content-length"] if html else []), "date", "server", "strict-transport-security"}
    for name, value in answer.headers.items():
        low = name.lower()
        if low == "set-cookie":
            if value.startswith("__"):
                continue
            value = re.sub(r";\s*(domain|path)=[^;]*", "", value, flags=re.IGNORECASE) + "; Path=/"
        elif low == "location":
            value = re.sub(rf"^http://{re.escape(request.headers.get('host', ''))}(?=/)", "", value)
        if low not in dropped:
            made.headers.append(name, value)
    return made


def _forget(request: Request, answer: Response) -> None:
    """Have the browser drop the cookies of another lab's dashboard, except those that this answer sets anew."""
    new = {value.partition("=")[0] for value in answer.headers.getlist("set-cookie")}
    for name in request.cookies:
        if not name.startswith("__") and name not in new:
            answer.delete_cookie(name)


async def _join(socket: WebSocket, screen: websockets.asyncio.client.ClientConnection) -> None:
    """Carry messages both ways until one side ends."""

    async def show() -> None:
        async for data in screen:
            await socket.send_bytes(data.encode() if isinstance(data, str) else data)
        await socket.close()

    showing = asyncio.create_task(show())
    try:
        while (message := await socket.receive())["type"] == "websocket.receive":
            await screen.send(message.get("bytes") or message.get("text") or b"")
    except (WebSocketDisconnect, RuntimeError, WebSocketException):
        pass  # one of them has gone, perhaps while the other spoke
    finally:
        showing.cancel()
        await asyncio.gather(showing, return_exceptions=True)
