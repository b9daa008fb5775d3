"""Finds what a lab's nodes are made from: images, a golden set, a snapshot."""

from __future__ import annotations

from dataclasses import dataclass, replace

from labctl.errors import InputError
from labctl.images import recipe
from labctl.images.store import Image, Manifest
from labctl.sets import store, warm
from labctl.sets.manifest import GoldenManifest, GoldenMemory
from labctl.site.site import Site
from labctl.spec.topology import restore
from labctl.state import Home, LabRecord, records
from labctl.state.records import Lab


@dataclass(frozen=True, kw_only=True)
class SourcedLab(Lab):
    """A lab with what its nodes are made from.

    Attributes:
        images: what its overlays stand on, by name.
        golden: the golden set that nodes are made from: the one that was captured from the lab, else the one that it
            stands on, if any.
        snapshot: its own snapshot that it is being taken back to, if any.
        obstacle: why the memory of either cannot be used here; empty where it can, or where there is none.
    """

    images: dict[str, Image]
    golden: GoldenManifest | None = None
    snapshot: GoldenManifest | None = None
    obstacle: str = ""

    @property
    def memory(self) -> dict[str, GoldenMemory]:
        """The memory that nodes are restored from, by node; the others boot."""
        if self.snapshot is not None:
            return {} if self.obstacle else dict(self.snapshot.memory)
        if self.golden is None or self.obstacle or self.record.cold:
            return {}
        return {node: memory for node, memory in self.golden.memory.items() if node not in self.record.bare}


def lab_of(home: Home, site: Site, team: str) -> SourcedLab:
    """Return the lab that a team has, with what its nodes are made from.

    Raises:
        InputError: it has none; or the host lacks an image, or the golden set.
    """
    return sourced(site, records.record_of(home, team))


def sourced(site: Site, record: LabRecord) -> SourcedLab:
    """Return the lab of a record with what its nodes are made from.

    Raises:
        InputError: the host lacks an image, or the golden set.
    """
    golden = _captured(site, record) or _golden_of(site, record)
    planned = records.plan_of(replace(record, golden=golden.id if golden else record.golden))
    images = _golden_images(site, golden) if golden else {}
    wanted = {node.image for node in planned.nodes} - images.keys()
    every = site.images.every(site.volumes)
    by_volume = {image.volume: image for image in every}
    newest = {image.manifest.name: image for image in every}
    for name in sorted(wanted):
        # A lab stays on the image that it was made from, for its other nodes stand on it.
        image = by_volume.get(record.images.get(name, "")) or newest.get(name)
        if image is None:
            raise InputError(
                f"the host has no image {name}",
                details="Images there are: " + (", ".join(sorted(newest)) or "none"),
                remedy=f"labctl image build {name}" if name in recipe.names() else f"labctl image import {name} FILE",
            )
        images[name] = image
    if planned.openstack and (medium := planned.openstack.medium):
        held = by_volume.get(record.images.get(medium, "")) or newest.get(medium)
        images |= {medium: held} if held else {}
    volumes = {name: image.volume for name, image in images.items()}
    snapshots = store.snapshots(site).every(site.volumes) if record.restoring else []
    snapshot = next((each for each in snapshots if each.id == record.restoring), None)
    source = snapshot or golden
    return SourcedLab(
        plan=planned,
        record=replace(record, images=record.images | volumes),
        images=images,
        golden=golden,
        snapshot=snapshot,
        obstacle=warm.obstacle(site, source) if source else "",
    )


def _captured(site: Site, record: LabRecord) -> GoldenManifest | None:
    """Return the golden set that was captured from a lab at its stage; None where there is none any more."""
    every = store.golden(site).every(site.volumes) if record.captured else []
    mark = (record.captured, record.stage_name)
    return next((each for each in every if (each.id, each.stage_name) == mark), None)


def _golden_of(site: Site, record: LabRecord) -> GoldenManifest | None:
    """Return the golden set that a lab stands on; None where none of its nodes does.

    Raises:
        InputError: the set is gone, and nodes stand on it.
    """
    if not record.golden:
        return None
    found = next((golden for golden in store.golden(site).every(site.volumes) if golden.id == record.golden), None)
    if found is None and not set(restore(record.topology).nodes) <= set(record.bare):
        raise InputError(
            f"the golden set that the lab of {record.team} was made from is gone",
            remedy=f"labctl destroy {record.team}, then create it again.",
        )
    return found


def _golden_images(site: Site, golden: GoldenManifest) -> dict[str, Image]:
    """Return the disks of a golden set as images that overlays stand on."""
    return {
        f"{golden.id}/{name}": Image(
            manifest=Manifest(
                name=f"{golden.id}/{name}",
                sha256=disk.sha256,
                size=disk.size,
                virtual_size=disk.virtual_size,
                os_info=golden.os_info,
                created=golden.created,
                source=f"golden set {golden.name}",
            ),
            volume=disk.volume,
            path=site.volumes[disk.volume].path,
        )
        for name, disk in golden.disks.items()
    }
