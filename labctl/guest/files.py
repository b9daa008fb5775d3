"""Reads and writes files of a guest with shell scripts. All ways into a guest use the same scripts."""

from __future__ import annotations

import base64
import posixpath
import secrets
from dataclasses import dataclass, field
from typing import Literal

from labctl import quoting
from labctl.errors import RemoteError
from labctl.guest.guest import Guest

Kind = Literal["file", "folder", "link", "other"]


@dataclass(frozen=True, kw_only=True)
class File:
    """What is at a path.

    Attributes:
        mode: permissions.
        owner: `user:group`.
        mtime: when it was changed, nanoseconds since 1970.
        content: of a file every byte, of a link where it points to, else nothing.
    """

    kind: Kind
    mode: int
    owner: str
    mtime: int
    content: bytes = field(default=b"", repr=False)


def put_script(path: str, *, size: int, mode: int, owner: str | None, mtime: int | None = None) -> str:
    """Return the shell line that writes its input to a file: beside it, checked, then renamed over it.

    A lost connection looks like the end of the input, so the number of bytes is checked before the renaming. Each
    program costs tens of milliseconds in an emulated guest, so the line starts as few as possible.

    Args:
        path: absolute.
        size: bytes that the input must have.
        mode: permissions.
        owner: `user` or `user:group`, or None to leave it.
        mtime: see `Guest.put`.
    """
    folder, name = posixpath.split(path)
    beside = quoting.shell(posixpath.join(folder, f".{name}.{secrets.token_hex(4)}"))
    target, within = quoting.shell(path), quoting.shell(folder)
    steps = [f"test ! -d {target}", f"cat >{beside}", f'test "$(wc -c <{beside})" -eq {size}']
    if owner is not None:
        steps.append(f"chown {quoting.shell(owner)} {beside}")
    if mode != 0o600:
        steps.append(f"chmod {mode:04o} {beside}")
    if mtime is None:
        steps.append(f"mv -f {beside} {target}")
    else:
        steps.insert(0, f"then=$(stat -c @%.9Y {within})")
        steps += [f"touch -d {timestamp(mtime)} {beside}", f"mv -f {beside} {target}", f'touch -d "$then" {within}']
    return f"umask 077; {' && '.join(steps)} || {{ rm -f {beside}; exit 1; }}"


def look(guest: Guest, path: str, *, timeout: float) -> File | None:
    """Look at a path by one script; see `Guest.look`."""
    word = quoting.shell(path)
    said = guest.run(
        f"test -e {word} || test -L {word} || exit 3; stat -c '%f %a %U:%G %.9Y' {word} && "
        f"if test -L {word}; then readlink -n {word} | base64 -w0; elif test -f {word}; then base64 -w0 {word}; fi",
        timeout=timeout,
        check=False,
    )
    if said.exit_code == 3:
        return None
    if not said.ok:
        raise RemoteError(f"{guest.name}: {path} cannot be read", details=said.tail())
    head, _, content = said.stdout.partition("\n")
    bits, mode, owner, seconds = head.split()
    whole, _, parts = seconds.partition(".")
    kind: Kind = _KINDS.get(int(bits, 16) & 0o170000, "other")
    return File(
        kind=kind,
        mode=int(mode, 8),
        owner=owner,
        mtime=int(whole) * 10**9 + int(parts.ljust(9, "0")),
        content=base64.b64decode(content),
    )


def timestamp(mtime: int) -> str:
    """Return a time of a file as `touch -d` reads it."""
    return f"@{mtime // 10**9}.{mtime % 10**9:09d}"


_KINDS: dict[int, Kind] = {0o100000: "file", 0o040000: "folder", 0o120000: "link"}
