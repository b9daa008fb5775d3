"""The state folder holds what libvirt cannot: which labs were begun, their identities and their secrets.

Everything is readable by its owner alone. A file is written beside its name, flushed, then renamed: after a crash it
is the old one or the new one. Layout below the home folder:

    owner               this installation's ID
    team                the default team of `labctl use`
    labs/TEAM/          lab.json, id_ed25519, id_ed25519.pub, host-keys.json, known_hosts; of its cloud:
                        openstack.json (secrets), install.jsonl (what the installer did once), logs/; sabotage.json (the
                        ledger of faults), events.jsonl (what happened in rounds), both for the organiser alone
    door/               the classroom's: host_key, tls.pem and secret (of the doors), access/TEAM.json (passwords and
                        keys), sessions.jsonl (who came in), hands.jsonl (whose hand is up), notices.jsonl (what
                        teams are told), webhook.secret and webhooks/ (what was posted where)
    locks/              one file per lock; the kernel drops a lock when its holder ends, however it ends
    scratch/            where images and sets are put together; emptied at the end, or by the next run
    reservations/       what commands at work are about to take of a host
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import platformdirs

from labctl.errors import DamagedError, InputError
from labctl.modes import private
from labctl.state import locks, reservations
from labctl.state.files import append, write_atomically
from labctl.state.locks import Kind
from labctl.state.parsing import parsed
from labctl.state.record import LabRecord

MOMENT = 120.0
"""Seconds to wait for a lock that everybody holds only for moments; a holder that is stopped must not stop all."""

_UNTOUCHED = "untouched"

_RECORD_REMEDY = (
    "Restore it from a backup; or labctl adopt {team} writes a new one, or labctl destroy {team} removes the lab; "
    "both read the metadata in libvirt."
)
_LOST_REMEDY = "Restore it from a backup, or labctl destroy {team}, then create it again."
_HOST = re.compile(r'"host": "([^"/\\]+|[^"/\\]+://[^"\\]+)"')

T = TypeVar("T")


class LabFolder:
    """The folder of one lab."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.key = path / "id_ed25519"
        self.known_hosts = path / "known_hosts"

    @property
    def team(self) -> str:
        """Whose lab it is."""
        return self.path.name

    @property
    def exists(self) -> bool:
        """Whether there is a record, sound or damaged."""
        return (self.path / "lab.json").exists()

    def load(self) -> LabRecord | None:
        """Return the lab's record; None when no lab was begun.

        Raises:
            DamagedError: the record cannot be read, or labctl cannot have written it so.
        """
        text = self._text("lab.json", _RECORD_REMEDY.format(team=self.team))
        try:
            return None if text is None else LabRecord.from_json(text, team=self.team)
        except ValueError as exc:
            raise self._damaged("lab.json", exc, _RECORD_REMEDY.format(team=self.team)) from exc

    def host(self) -> str | None:
        """Return the host that a record names, even one that is damaged; None where it names none."""
        with contextlib.suppress(OSError):
            found = _HOST.search((self.path / "lab.json").read_text(errors="replace"))
            return found[1] if found else None
        return None

    def save(self, record: LabRecord) -> None:
        """Write the record."""
        self.write("lab.json", record.to_json())

    def read(self, name: str) -> str | None:
        """Return the text of a file in the folder; None when there is none.

        Raises:
            DamagedError: it cannot be read.
        """
        return self._text(name, _LOST_REMEDY.format(team=self.team))

    def read_as(self, name: str, shape: type[T]) -> T | None:
        """Return the value of a JSON file in the folder; None when there is none.

        Args:
            shape: its type, dict[str, str] for instance.

        Raises:
            DamagedError: it cannot be read, or has another shape.
        """
        text = self.read(name)
        try:
            return None if text is None else parsed(text, shape)
        except ValueError as exc:
            raise self.damaged(name, exc) from exc

    def damaged(self, name: str, why: Exception | str) -> DamagedError:
        """Return the error that says that a file of the folder does not hold what labctl wrote."""
        return self._damaged(name, why, _LOST_REMEDY.format(team=self.team))

    def write(self, name: str, text: str) -> None:
        """Write a file of the folder, all or nothing."""
        write_atomically(self.path / name, text)

    def append(self, name: str, text: str) -> None:
        """Add whole lines to a file of the folder; the caller holds a lock."""
        append(self.path / name, text)

    def remove_file(self, name: str) -> None:
        """Delete a file of the folder; nothing happens when it is gone."""
        (self.path / name).unlink(missing_ok=True)

    @property
    def untouched(self) -> bool:
        """Whether the lab was made to be captured, and nobody was let in since."""
        return (self.path / _UNTOUCHED).exists()

    def touch_not(self) -> None:
        """Write down that the lab is made to be captured, before anybody is let in."""
        self.write(_UNTOUCHED, "")

    def let_in(self) -> None:
        """Write down that somebody may have worked in the lab from now on."""
        self.remove_file(_UNTOUCHED)

    def remove(self) -> None:
        """Delete the folder, the record first. If a crash leaves the rest, it does not count as a lab."""
        (self.path / "lab.json").unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)

    def _text(self, name: str, remedy: str) -> str | None:
        try:
            return (self.path / name).read_text()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as exc:
            raise self._damaged(name, exc, remedy) from exc

    def _damaged(self, name: str, why: Exception | str, remedy: str) -> DamagedError:
        return DamagedError(f"{self.path / name} is damaged", details=str(why), remedy=remedy)


class Home:
    """The state folder of this installation.

    Args:
        root: LABCTL_HOME where it is set, else the user's data folder.
    """

    def __init__(self, root: Path | None = None) -> None:
        chosen = root or os.environ.get("LABCTL_HOME") or platformdirs.user_data_path("labctl")
        self.root = Path(chosen).absolute()

    @property
    def owner(self) -> UUID:
        """This installation's ID, drawn when it is first asked for.

        Raises:
            DamagedError: its file holds something else.
        """
        path = self.root / "owner"
        if not path.exists():
            with self.lock("home", "owner", wait=MOMENT):
                if not path.exists():
                    write_atomically(path, f"{uuid.uuid4()}\n")
        try:
            return UUID(path.read_text().strip())
        except (OSError, ValueError) as exc:
            known = sorted({str(record.owner) for record in self.records()})
            remedy = f"Write into it what it was: {' or '.join(known)}" if known else "Delete it: no record needs it."
            raise DamagedError(f"{path} is damaged", details=str(exc), remedy=remedy) from exc

    @property
    def team(self) -> str | None:
        """The default team that `labctl use` chose.

        Raises:
            DamagedError: its file holds something else.
        """
        from labctl.spec import teams

        path = self.root / "team"
        try:
            return teams.validate(text) if (text := path.read_text().strip()) else None
        except FileNotFoundError:
            return None
        except (InputError, OSError, UnicodeDecodeError) as exc:
            brief = exc.brief if isinstance(exc, InputError) else str(exc)
            raise DamagedError(f"{path} is damaged", details=brief, remedy="labctl use TEAM writes a new one.") from exc

    @team.setter
    def team(self, team: str) -> None:
        write_atomically(self.root / "team", f"{team}\n")

    @property
    def hosts(self) -> Path:
        """Where private hosts live."""
        return self.root / "hosts"

    def lab(self, team: str) -> LabFolder:
        """Return the folder of a team's lab, which need not exist."""
        return LabFolder(self.root / "labs" / team)

    def records(self) -> list[LabRecord]:
        """Return the records of all labs, by team; those that are damaged are set aside (see `damaged`)."""
        return [record for record in self._records().values() if isinstance(record, LabRecord)]

    def damaged(self) -> dict[str, DamagedError]:
        """Return what is wrong with each record that cannot be read, by team."""
        return {team: record for team, record in self._records().items() if isinstance(record, DamagedError)}

    def _records(self) -> dict[str, LabRecord | DamagedError]:
        found: dict[str, LabRecord | DamagedError] = {}
        for path in sorted((self.root / "labs").glob("*/lab.json")):
            folder = LabFolder(path.parent)
            try:
                if (record := folder.load()) is not None:
                    found[folder.team] = record
            except DamagedError as exc:
                found[folder.team] = exc
        return found

    def lock(
        self, kind: Kind, name: str, *, shared: bool = False, wait: float = 0
    ) -> contextlib.AbstractContextManager[None]:
        """Hold a lock, to be used in a `with` statement.

        Args:
            kind: its name space; a lock of another kind may have the same name.
            shared: beside others who hold it shared; nobody holds it exclusively meanwhile.
            wait: seconds to wait for other holders, for locks that are held only for moments.

        Raises:
            LockedError: another process holds it all that time.
        """
        return locks.held(self.root / "locks", kind, name, shared=shared, wait=wait)

    def hand_over(self, team: str, to: str) -> bool:
        """Make a lab that waits another team's, all or nothing; the caller holds the locks of both.

        Returns:
            Whether it could be: not where that team has anything on record already.
        """
        try:
            (self.root / "labs" / team).rename(self.root / "labs" / to)
        except OSError:
            return False
        return True

    def remove_lab(self, team: str) -> None:
        """Delete a lab's folder and the lock files that killed commands left of it."""
        self.lab(team).remove()
        locks.sweep(self.root / "locks", team)

    @contextlib.contextmanager
    def scratch(self, name: str) -> Iterator[Path]:
        """Yield an empty folder on the state folder's file system; what a killed run left there is removed first."""
        folder = self.root / "scratch" / name
        shutil.rmtree(folder, ignore_errors=True)
        private(folder)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def reserve(self, text: str) -> contextlib.AbstractContextManager[None]:
        """Show a text in `reservations` while a `with` statement lasts; the caller holds the lock "leases"."""
        return reservations.held(self.root / "reservations", text)

    def reservations(self) -> list[str]:
        """Return what running commands have reserved; the caller holds the lock "leases"."""
        return reservations.every(self.root / "reservations")
