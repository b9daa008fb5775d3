"""The sets in a host's storage pool. A set is a whole lab at a stage: disks and perhaps memory; labs are made from it.

A set is a volume per disk, `golden-NAME-ID-NODE.qcow2`, an overlay on a base image; where it was captured from a
running lab, a volume with the memory of each node, `golden-NAME-ID-NODE.memory`; and a manifest, `golden-NAME-ID.json`,
which is uploaded last. No manifest, no set: what an interrupted run leaves behind is never used, and the next one of
that name clears it away. Snapshots of labs are sets too, whose names begin with `snapshot-`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Container, Mapping
from pathlib import Path

from labctl.errors import InputError, RefusedError
from labctl.hypervisor import Hypervisor, VolumeFacts
from labctl.images.store import check_name
from labctl.render import xml
from labctl.sets.manifest import GOLDEN, SNAPSHOT, GoldenManifest
from labctl.site.site import Site
from labctl.state import Home

_MANIFEST_LIMIT = 16 * 1024**2


def golden(site: Site) -> GoldenStore:
    """Return the golden sets in a host's pool."""
    return GoldenStore(site.hypervisor, site.pool.name)


def snapshots(site: Site) -> GoldenStore:
    """Return the snapshots of labs in a host's pool."""
    return GoldenStore(site.hypervisor, site.pool.name, SNAPSHOT)


def in_use(home: Home, site: Site) -> set[str]:
    """Return the IDs of the golden sets that labs on record stand on."""
    return {record.golden for record in home.records() if record.host == site.name}


def remove(home: Home, site: Site, called: str) -> str:
    """Remove a golden set by its ID, or by its name where no other has it; return its name.

    Raises:
        InputError: there is no such set, or there are several of that name.
        RefusedError: labs stand on it.
    """
    sets = golden(site)
    name = next((each.name for each in sets.every(site.volumes) if each.id == called), called)
    with home.lock("golden", name):
        return sets.remove(called, in_use=in_use(home, site))


class GoldenStore:
    """The sets of one kind in one pool of a host."""

    def __init__(self, hypervisor: Hypervisor, pool: str, kind: str = GOLDEN) -> None:
        self._hypervisor = hypervisor
        self._pool = pool
        self._kind = kind
        self._manifest = re.compile(rf"{kind}-(?P<name>.+)-(?P<id>[0-9a-f]{{12}})\.json")

    def every(self, volumes: Mapping[str, VolumeFacts] | None = None) -> list[GoldenManifest]:
        """Return all whole sets, the oldest first.

        Args:
            volumes: the pool's volumes, where the caller has listed them already.
        """
        known = self._hypervisor.volumes(self._pool) if volumes is None else volumes
        found = []
        for name in filter(self._manifest.fullmatch, known):
            volume = known.get(name)
            if volume is None or volume.capacity > _MANIFEST_LIMIT:
                continue
            try:
                document = self._hypervisor.download(self._pool, name, volume.capacity)
                manifest = GoldenManifest.from_json(document.decode())
            except ValueError:  # cut off while it was uploaded, or not ours
                continue
            if name == f"{manifest.stem}.json" and known.keys() >= set(manifest.volumes):
                found.append(manifest)
        return sorted(found, key=lambda manifest: manifest.created)

    def named(self, called: str, volumes: Mapping[str, VolumeFacts] | None = None) -> GoldenManifest:
        """Return the set of that ID, or the only one of that name.

        Raises:
            InputError: there is none, or there are several of that name.
        """
        every = self.every(volumes)
        found = [each for each in every if each.id == called] or [each for each in every if each.name == called]
        if not found:
            raise InputError(f"there is no {self._word} {called}", remedy=f"labctl {self._list} lists them.")
        if len(found) > 1:
            sort = {True: "with memory", False: "disks alone"}
            lines = [f"{each.id}: {each.stage}, {sort[bool(each.memory)]}, {each.created}" for each in found]
            raise InputError(
                f"{len(found)} {self._word}s are called {called}",
                details="\n".join(lines),
                remedy=f"Name one by its ID: {found[-1].id} is the newest.",
            )
        return found[0]

    def publish(self, manifest: GoldenManifest, disks: Mapping[str, Path], *, in_use: Container[str]) -> None:
        """Upload the disks, then the manifest; see `seal`.

        Args:
            disks: the files by node.
        """
        check_name(manifest.name)
        for node, disk in manifest.disks.items():
            self.upload(disk.volume, disks[node])
        self.seal(manifest, in_use=in_use)

    def upload(self, volume: str, file: Path) -> None:
        """Make a volume with the bytes of a file."""
        size = file.stat().st_size
        self._hypervisor.create_volume(self._pool, xml.volume_xml(volume, "raw", size))
        with file.open("rb") as content:
            self._hypervisor.upload(self._pool, volume, content, size)

    def seal(self, manifest: GoldenManifest, *, in_use: Container[str] = (), replaces: bool = True) -> None:
        """Upload the manifest of a set whose volumes are there: it is whole now.

        Args:
            in_use: IDs of sets that labs on record stand on.
            replaces: whether older sets of the name and sort are removed, unless something uses them. A set with memory
                and one that was baked are of two sorts: neither does what the other does.

        Raises:
            RefusedError: another installation on this host removed some of its volumes meanwhile.
        """
        document = manifest.to_json().encode()
        self._hypervisor.remove_volume(self._pool, f"{manifest.stem}.json")  # an import of it may have ended here
        self._hypervisor.create_volume(self._pool, xml.volume_xml(f"{manifest.stem}.json", "raw", len(document)))
        self._hypervisor.upload(self._pool, f"{manifest.stem}.json", io.BytesIO(document), len(document))
        volumes = self._hypervisor.volumes(self._pool)
        if not volumes.keys() >= set(manifest.volumes):
            for volume in (f"{manifest.stem}.json", *manifest.volumes):
                self._hypervisor.remove_volume(self._pool, volume)
            raise RefusedError(
                f"{self._word} {manifest.name} lost disks while it was published",
                details="Another labctl on this host published or removed one of the same name.",
                remedy="Run the command again when the other one has ended.",
            )
        kept = {
            other.stem
            for other in self.every(volumes)
            if not replaces
            or other.id in in_use
            or other.created > manifest.created
            or bool(other.memory) != bool(manifest.memory)
        }
        self._clear(manifest.name, volumes, keep=kept | {manifest.stem})

    def remove(self, called: str, *, in_use: Container[str] = ()) -> str:
        """Remove a set, and what interrupted runs left of its name; return its name.

        Args:
            called: its ID; or its name, where it alone has it.
            in_use: IDs of sets that labs on record stand on.

        Raises:
            InputError: there is no such set, or there are several of that name.
            RefusedError: labs stand on it.
        """
        volumes = self._hypervisor.volumes(self._pool)
        every = self.every(volumes)
        if called not in {name for each in every for name in (each.name, each.id)} and self._stems(called, volumes):
            self._clear(called, volumes, keep=())
            return called
        chosen = self.named(called, volumes)
        users = self._users(chosen.stem, volumes) or (["a lab on record"] if chosen.id in in_use else [])
        if users:
            raise RefusedError(
                f"{self._word} {called} is in use",
                details="Disks that use it: " + ", ".join(users),
                remedy="Destroy the labs that use it first.",
            )
        self._clear(chosen.name, volumes, keep={each.stem for each in every} - {chosen.stem})
        return chosen.name

    def _clear(self, name: str, volumes: Mapping[str, VolumeFacts], *, keep: Container[str]) -> None:
        """Delete sets of a name and what interrupted runs left of them, but for those that overlays stand on.

        Args:
            keep: the stems of those that stay.
        """
        for stem in self._stems(name, volumes):
            if stem not in keep and not self._users(stem, volumes):
                self._hypervisor.remove_volume(self._pool, f"{stem}.json")
                for volume in volumes:
                    if volume.startswith(f"{stem}-"):
                        self._hypervisor.remove_volume(self._pool, volume)

    @property
    def _word(self) -> str:
        return "golden set" if self._kind == GOLDEN else self._kind

    @property
    def _list(self) -> str:
        return f"{self._kind} list"

    def _stems(self, name: str, volumes: Mapping[str, VolumeFacts]) -> set[str]:
        """Return how the volumes of a name's sets begin, whole or not."""
        ours = re.compile(rf"({self._kind}-{re.escape(name)}-[0-9a-f]{{12}})(\.json|-.*)")
        return {found[1] for volume in volumes if (found := ours.fullmatch(volume))}

    @staticmethod
    def _users(stem: str, volumes: Mapping[str, VolumeFacts]) -> list[str]:
        own = {name for name in volumes if name.startswith(f"{stem}-")}
        paths = {volumes[name].path for name in own}
        return sorted(volume.name for volume in volumes.values() if volume.backing in paths and volume.name not in own)
