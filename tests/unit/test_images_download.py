"""Images from URLs: whatever a server answers, and whatever a URL looks like, is a message and no traceback."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.errors import InputError, LabctlError
from labctl.images import importing

BODY = b"not an image" * 100
HEAD = b"HTTP/1.1 200 OK\r\n"
FOUND = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "
ANSWERS = {
    "/ok": HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
    "/short": HEAD + b"Content-Length: %d\r\n\r\n" % (len(BODY) + 9) + BODY,
    "/chunk-cut": HEAD + b"Transfer-Encoding: chunked\r\n\r\n10000\r\n" + BODY,
    "/chunk-bad": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzzz\r\n" + BODY,
    "/no-status": b"hello\r\n\r\n",
    "/nothing": b"",
    "/length-bad": HEAD + b"Content-Length: many\r\n\r\n" + BODY,
    "/head-long": HEAD + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
    "/heads-many": HEAD + b"X: a\r\n" * 200 + b"\r\n",
    "/to-file": FOUND + b"file:///etc/passwd\r\n\r\n",
    "/to-itself": FOUND + b"/to-itself\r\n\r\n",
    "/to-brackets": FOUND + b"http://[bad/\r\n\r\n",
    "/to-port": FOUND + b"http://127.0.0.1:x/\r\n\r\n",
    "/missing": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "/private": b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n",
    "/a%20b/%C3%BC.img": HEAD + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY,
}


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server that answers as `ANSWERS` says; its address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(client,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def answer(client: socket.socket) -> None:
    with client:
        path = client.recv(65536).split()[1].decode()
        client.sendall(ANSWERS.get(path, ANSWERS["/missing"]))
        client.shutdown(socket.SHUT_WR)
        with contextlib.suppress(OSError):
            while client.recv(65536):
                pass


def fetch(url: str, scratch: Path, digest: str = "00") -> None:
    importing.import_(url, sha256=digest, scratch=scratch, progress=lambda _: None)


@pytest.mark.parametrize("path", sorted(set(ANSWERS) - {"/ok", "/a%20b/%C3%BC.img"}))
def test_what_cannot_be_downloaded_is_said(server: str, tmp_path: Path, path: str) -> None:
    with pytest.raises(LabctlError, match=r"cannot download|was interrupted") as caught:
        fetch(server + path, tmp_path)
    assert caught.value.exit_code in (1, 2)
    assert caught.value.details


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:x/", "http://[::1/", "http://", "http:// /", "http://\udcff/", "http://a..b/"]
)
def test_what_is_no_url_is_said(tmp_path: Path, url: str) -> None:
    with pytest.raises(LabctlError, match="cannot download"):
        fetch(url, tmp_path)


@pytest.mark.parametrize("path", ["/ok", "/a b/ü.img", "/a%20b/%C3%BC.img"])
def test_blanks_and_umlauts_are_quoted_and_what_is_quoted_stays(server: str, tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match="not a disk image that can boot"):
        fetch(server + path, tmp_path, hashlib.sha256(BODY).hexdigest())
