"""The state folder: what libvirt cannot hold, namely which labs were begun, their identities and their secrets.

Everything is readable by its owner alone. A file is written beside its name, flushed, then renamed: after a crash it
is the old one or the new one. Layout below the home folder:

    owner               this installation's ID
    team                the default team of `labctl use`
    labs/TEAM/          lab.json, id_ed25519, id_ed25519.pub, host-keys.json, known_hosts, ssh_config; of its cloud:
                        openstack.json (secrets), install.jsonl (what the installer did once), logs/
    locks/              one file per lock; the kernel drops a lock when its holder ends, however it ends
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from pathlib import Path
from uuid import UUID

import platformdirs

from labctl.errors import LabctlError
from labctl.state import locks
from labctl.state.files import write_atomically
from labctl.state.locks import Kind
from labctl.state.record import LabRecord

MOMENT = 120.0
"""Seconds to wait for a lock that everybody holds only for moments; a holder that is stopped must not stop all."""


class LabFolder:
    """The folder of one lab."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.key = path / "id_ed25519"
        self.known_hosts = path / "known_hosts"
        self.ssh_config = path / "ssh_config"

    def load(self) -> LabRecord | None:
        """Return the lab's record; None when no lab was begun.

        Raises:
            LabctlError: the record cannot be read.
        """
        record = self.path / "lab.json"
        try:
            return LabRecord.from_json(record.read_text())
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError) as exc:
            raise LabctlError(
                f"{record} is damaged", details=str(exc), remedy="Restore it from a backup; it names what is ours."
            ) from exc

    def save(self, record: LabRecord) -> None:
        """Write the record."""
        self.write("lab.json", record.to_json())

    def read(self, name: str) -> str | None:
        """Return the text of a file in the folder; None when there is none."""
        with contextlib.suppress(FileNotFoundError):
            return (self.path / name).read_text()
        return None

    def write(self, name: str, text: str) -> None:
        """Write a file of the folder, all or nothing."""
        write_atomically(self.path / name, text)

    def remove_file(self, name: str) -> None:
        """Delete a file of the folder; nothing happens when it is gone."""
        (self.path / name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Delete the folder: the record first, so that what is left of it after a crash is no lab."""
        (self.path / "lab.json").unlink(missing_ok=True)
        shutil.rmtree(self.path, ignore_errors=True)


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
        """This installation's ID, drawn when it is first asked for."""
        path = self.root / "owner"
        with contextlib.suppress(FileNotFoundError):
            return UUID(path.read_text().strip())
        with self.lock("home", "owner", wait=MOMENT):
            if not path.exists():
                write_atomically(path, f"{uuid.uuid4()}\n")
        return UUID(path.read_text().strip())

    @property
    def team(self) -> str | None:
        """The default team that `labctl use` chose."""
        with contextlib.suppress(FileNotFoundError):
            return (self.root / "team").read_text().strip() or None
        return None

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
        """Return the records of all labs, by team."""
        folders = sorted((self.root / "labs").glob("*/lab.json"))
        return [record for path in folders if (record := LabFolder(path.parent).load())]

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
