"""Makes SSH key pairs and renders known_hosts: a lab has its own keys, for its user and for every node."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from labctl.errors import InputError


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """An SSH key, both halves as text.

    Attributes:
        private: PEM in OpenSSH's format, without a passphrase, ending in a newline.
        public: one line as in authorized_keys, without a newline.
    """

    private: str = field(repr=False)
    public: str


def fingerprint(public: str) -> str:
    """Return a public key's fingerprint as `ssh-keygen -l` prints it: SHA256: and base64 without padding.

    Raises:
        InputError: it is no public key line.
    """
    _, blob = parse_public(public)
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def generate(comment: str) -> KeyPair:
    """Make a new ed25519 key.

    Args:
        comment: what the key is for, one line; ends the public line.

    Raises:
        InputError: the comment would break the line.
    """
    if not comment.isprintable():
        raise InputError(f"{comment!r} cannot be the comment of a key", remedy="Use one line of printable characters.")
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return KeyPair(private=private.decode(), public=f"{public.decode()} {comment}".rstrip())


def public_of(private: str, comment: str) -> str:
    """Return the public line of a private key.

    Raises:
        ValueError: it is no whole private key.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization

    try:
        key = serialization.load_ssh_private_key(private.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm) as exc:
        raise ValueError(str(exc)) from exc
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return f"{public.decode()} {comment}".rstrip()


def known_hosts(entries: Iterable[tuple[Iterable[str], str]]) -> str:
    """Return the text of a known_hosts file.

    Args:
        entries: per host key the addresses and names that answer with it, and the public key's line.

    Raises:
        InputError: a name would match other hosts or break the line, or a key is none.
    """
    lines = []
    for names, public in entries:
        hosts = list(names)
        for host in hosts:
            if not host or not all(character.isalnum() or character in ".:_-[]" for character in host):
                raise InputError(
                    f"{host!r} is not an address or a host name", remedy="Use letters, digits, dots and dashes."
                )
        kind, blob = parse_public(public)
        lines.append(f"{','.join(hosts)} {kind} {base64.b64encode(blob).decode()}\n")
    return "".join(lines)


def parse_public(public: str) -> tuple[str, bytes]:
    """Return a public key line's type and key bytes.

    Raises:
        InputError: it is no public key line.
    """
    try:
        kind, encoded = public.split()[:2]
        blob = base64.b64decode(encoded, validate=True)
    except ValueError as exc:
        raise InputError(f"{public!r} is no public key", details=str(exc)) from exc
    # RFC 4253 section 6.6: the bytes repeat the type, behind its length.
    if blob[: 4 + len(kind)] != len(kind).to_bytes(4, "big") + kind.encode():
        raise InputError(f"{public!r} is no public key", details="Its type does not match its content.")
    return kind, blob
