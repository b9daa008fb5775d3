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
import errno
import fcntl
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TextIO
from uuid import UUID

import platformdirs
from netaddr import IPNetwork

from labctl.errors import CapacityError, LabctlError, LockedError


@dataclass(frozen=True, kw_only=True)
class LabRecord:
    """What is decided once about a lab, written before its first object is made.

    Attributes:
        host: name or URI of the host that the lab stands on.
        topology: the topology's whole document; the file it came from may change.
        virt: kvm or qemu.
        images: image name to the volume that this lab's overlays stand on.
        generations: how often each node was made anew.
        ready: node to the generation that was seen ready.
        volumes: names of volumes that are ours, or that we were about to make when we wrote this.
        golden: ID of the golden set that the lab stands on; empty when it stands on base images.
        installed: whether its cloud was brought up to the end.
        nested: how instances run in each compute node, kvm or qemu, as far as the installer saw it.
        cold: whether its nodes boot, though their golden set has memory.
        bare: nodes that were reset to stage bare; they stand on base images.
    """

    team: str
    lab: UUID
    owner: UUID
    host: str
    mgmt: IPNetwork
    topology: dict[str, Any]
    digest: str
    stage: str
    virt: str
    images: dict[str, str] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    ready: dict[str, int] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()
    golden: str = ""
    installed: bool = False
    nested: dict[str, str] = field(default_factory=dict)
    cold: bool = False
    bare: tuple[str, ...] = ()

    def to_json(self) -> str:
        """Return the record as a JSON document."""
        texts = {"lab": str(self.lab), "owner": str(self.owner), "mgmt": str(self.mgmt)}
        return json.dumps(vars(self) | texts, indent=2)

    @classmethod
    def from_json(cls, document: str) -> Self:
        """Read what `to_json` wrote."""
        values = json.loads(document)
        converted = {
            "lab": UUID(values["lab"]),
            "owner": UUID(values["owner"]),
            "mgmt": IPNetwork(values["mgmt"]),
            "volumes": tuple(values["volumes"]),
            "bare": tuple(values.get("bare", ())),
        }
        return cls(**(values | converted))


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
        with self.lock("owner", wait=True):
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

    @contextlib.contextmanager
    def lock(self, name: str, *, wait: bool = False) -> Iterator[None]:
        """Hold a lock of that name.

        Args:
            wait: wait for another holder to let go, for locks that are held only for moments.

        Raises:
            LockedError: another process holds it.
        """
        path = self.root / "locks" / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(path, wait=wait) as file:
            try:
                # On a full disk the number is missing, which only makes a refusal say less: destroy must work there.
                with contextlib.suppress(OSError):
                    file.truncate(0)
                    os.write(file.fileno(), f"{os.getpid()}\n".encode())
                yield
            finally:
                path.unlink(missing_ok=True)


def write_atomically(path: Path, text: str) -> None:
    """Write a file that only its owner may read, beside its name first, then renamed.

    Raises:
        CapacityError: the file system is full; the file is as it was.
    """
    try:
        _write_atomically(path, text)
    except OSError as exc:
        if exc.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise CapacityError(
            f"cannot write {path}",
            details=f"{exc.strerror}. Nothing was lost: the file is as it was.",
            remedy=f"Make room (df {path.parent}), then run the command again. labctl destroy TEAM needs none.",
        ) from exc


def _write_atomically(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool) -> Iterator[TextIO]:
    """Hold the lock on a file that its holder deletes at the end, so that no lock files lie about."""
    while True:
        with path.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError as exc:
                file.seek(0)
                raise LockedError(
                    f"another labctl (process {file.read().strip() or '?'}) is at work on {path.name}",
                    remedy="Wait until it ends, then run the command again.",
                ) from exc
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_ino == os.fstat(file.fileno()).st_ino:  # otherwise its last holder deleted it
                    yield file
                    return
