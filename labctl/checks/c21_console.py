"""C21: the console in the browser."""

from __future__ import annotations

import base64
import secrets
from urllib.parse import parse_qs, unquote, urlsplit

from labctl.checks import bench
from labctl.checks.log import Log, Wrong, cloud_check


@cloud_check(
    "C21",
    "A server's console opens",
    exercises="console proxy, the compute node's VNC",
    needs=("C10",),
    limit=(30, 120),
)
def console(log: Log) -> None:
    """Ask Nova for the first server's noVNC console, get its page, open the WebSocket behind it, and read the greeting
    of the frame buffer's protocol."""
    cloud, made = log.cloud, bench.first(log)
    node = cloud.node("nova")
    with log.step("ask for it", node=node, suspect="nova"):
        url = str(cloud.demo.compute.create_console(made, console_type="novnc")["url"])
    log.ask("page", lambda: _page(log, url), node=node, suspect="nova-novncproxy")
    with log.step("greeting", node=cloud.nodes("compute")[0], suspect="nova-novncproxy"):
        if not (said := log.again(lambda: _greeting(log, url))).startswith(b"RFB 003"):
            raise Wrong(f"it begins with {said!r}, not with RFB 003")


def _page(log: Log, url: str) -> None:
    answer = log.cloud.http().get(url, timeout=log.cloud.seconds)
    if answer.status_code != 200:
        raise Wrong(f"HTTP {answer.status_code}")


def _greeting(log: Log, url: str) -> bytes:
    """Open the WebSocket that the page would open; return the first bytes that come."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    path = unquote(query["path"][0]) if "path" in query else f"?token={query['token'][0]}"
    host, port = parts.hostname or "", parts.port or 80
    with log.cloud.dialer.open(host, port, timeout=log.subject.scaled(10, 30)) as opened:
        opened.settimeout(log.cloud.seconds)
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        opened.sendall(
            (
                f"GET /{path.lstrip('/')} HTTP/1.1\r\nHost: {parts.netloc}\r\nOrigin: http://{parts.netloc}\r\n"
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: binary\r\n\r\n"
            ).encode()
        )
        with opened.makefile("rb") as stream:
            status = stream.readline().decode(errors="replace").strip()
            if " 101 " not in f"{status} ":
                raise Wrong(f"the proxy opens no WebSocket: {status}")
            while stream.readline().strip():
                pass
            head = stream.read(2)
            if len(head) < 2 or head[0] & 0x0F not in (1, 2):
                raise Wrong("the proxy closes the WebSocket at once")
            return stream.read(head[1] & 0x7F)
