"""Who may come in by the classroom's door: a password for each team, and keys of its people; and the door's own key.

Files below `door/` in the state folder, each for the organiser alone. Passwords are kept as they are, so that handouts
can be printed again; who reads this folder has the labs' own keys anyway.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from labctl.errors import DamagedError, InputError
from labctl.remote import keys
from labctl.remote.keys import KeyPair
from labctl.spec import teams
from labctl.state import MOMENT, Home
from labctl.state.files import write_atomically
from labctl.state.parsing import parsed

_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # none looks like another on paper
_PARTS, _PART = 3, 4  # 31 to the power of 12: 59 bits


@dataclass(frozen=True, kw_only=True)
class Access:
    """How the people of one team come in.

    Attributes:
        team: whose lab opens to them.
        password: what every handout of the team says.
        keys: public keys, one line each.
    """

    team: str
    password: str = field(repr=False)
    keys: tuple[str, ...] = ()

    def fingerprints(self) -> dict[str, str]:
        """Return the keys' fingerprints, each with its comment."""
        return {keys.fingerprint(key): " ".join(key.split()[2:]) for key in self.keys}


def load(home: Home, team: str) -> Access | None:
    """Return a team's access; None where it has none.

    Raises:
        DamagedError: its file does not contain what labctl wrote.
    """
    path = _file(home, team)
    try:
        found = parsed(path.read_text(), Access)
        for key in found.keys:
            keys.parse_public(key)
    except FileNotFoundError:
        return None
    except (InputError, OSError, ValueError) as exc:
        raise DamagedError(
            f"{path} is damaged",
            details=exc.brief if isinstance(exc, InputError) else str(exc),
            remedy=f"labctl access remove {team}, then labctl access add {team}: it has another password then.",
        ) from exc
    return replace(found, team=team)


def known(home: Home, team: str) -> Access:
    """Return the access that a team has.

    Raises:
        InputError: it has none.
    """
    found = load(home, team)
    if found is None:
        raise _nothing(team)
    return found


def known_or_none(home: Home, team: str) -> Access | None:
    """Return the access that a team has; None where it has none, or there can be no such team.

    Raises:
        DamagedError: its file does not contain what labctl wrote.
    """
    try:
        return load(home, team)
    except InputError:
        return None


def knows_password(access: Access | None, password: str) -> bool:
    """Whether a password is the team's; it takes as long where there is no such team."""
    right = access.password if access is not None else ""
    return hmac.compare_digest(right.encode(), password.encode()) and bool(right)


def knows_key(access: Access | None, line: str) -> bool:
    """Whether a public key is one of the team's; options and comments do not count."""
    try:
        offered = keys.parse_public(line)
    except InputError:
        return False
    return access is not None and any(keys.parse_public(known) == offered for known in access.keys)


def every(home: Home) -> list[Access]:
    """Return the access of all teams that have one, by team."""
    names = sorted(path.stem for path in _folder(home).glob("*.json"))
    return [found for name in names if (found := load(home, name)) is not None]


def give(home: Home, team: str, lines: str = "") -> Access:
    """Let a team in: with a new password where it has none, and with the keys of an authorized_keys file besides.

    Raises:
        InputError: a line of the file is no key; nothing has changed.
    """
    teams.validate(team)
    more = read_keys(lines)
    with _locked(home):
        now = load(home, team) or Access(team=team, password=_password())
        return _save(home, replace(now, keys=tuple(dict.fromkeys([*now.keys, *more]))))


def renew(home: Home, team: str) -> Access:
    """Give a team a new password; its old one opens nothing any more.

    Raises:
        InputError: it has no access.
    """
    with _locked(home):
        return _save(home, replace(known(home, team), password=_password()))


def remove(home: Home, team: str, fingerprint: str | None = None) -> None:
    """Take a team's access away, or one of its keys.

    Raises:
        InputError: it has no access, or no such key.
    """
    with _locked(home):
        if fingerprint is None:
            if not _file(home, team).exists():
                raise _nothing(team)
            _file(home, team).unlink()
            return
        now = known(home, team)
        left = tuple(key for key in now.keys if keys.fingerprint(key) != fingerprint)
        if left == now.keys:
            there = "\n".join(now.fingerprints())
            raise InputError(f"{team} has no key {fingerprint}", details=there or "It has no keys.")
        _save(home, replace(now, keys=left))


def read_keys(text: str) -> list[str]:
    """Return the keys of an authorized_keys file, as `ssh-keygen` or a forge writes them.

    Raises:
        InputError: a line is no public key, or has options before its key.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        try:
            keys.parse_public(line)
        except InputError as exc:
            private = "PRIVATE KEY" in line
            raise InputError(
                f"line {number} is no public key",
                details="It begins a private key." if private else exc.details,
                remedy="Give the file whose name ends in .pub."
                if private
                else "Write one key a line, without options.",
            ) from exc
        found.append(line.strip())
    return found


def door_key(home: Home) -> KeyPair:
    """Return the door's host key, which is made when it is first asked for and stays.

    Raises:
        DamagedError: its file contains no key.
    """
    path = home.root / "door" / "host_key"
    with _locked(home):
        if not path.exists():
            write_atomically(path, keys.generate("labctl door").private)
        try:
            private = path.read_text()
            return KeyPair(private=private, public=keys.public_of(private, "labctl door"))
        except (OSError, ValueError) as exc:
            remedy = "Restore it from a backup, or delete it: teams then have to accept a new key."
            raise DamagedError(f"{path} is damaged", details=str(exc), remedy=remedy) from exc


def _nothing(team: str) -> InputError:
    return InputError(f"{team} has no access", remedy=f"labctl access add {team}")


def _password() -> str:
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_PART)) for _ in range(_PARTS))


def _save(home: Home, access: Access) -> Access:
    write_atomically(_file(home, access.team), json.dumps(asdict(access), indent=2) + "\n")
    return access


def _folder(home: Home) -> Path:
    return home.root / "door" / "access"


def _file(home: Home, team: str) -> Path:
    return _folder(home) / f"{teams.validate(team)}.json"


@contextlib.contextmanager
def _locked(home: Home) -> Iterator[None]:
    with home.lock("door", "access", wait=MOMENT):
        yield
