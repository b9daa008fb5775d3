"""Single blocks of files that hold images: contents that rot while size, time and name stay as they were."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import ClassVar, Literal

from labctl import quoting
from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State
from labctl.errors import InputError, RemoteError

_SIZE = 4096  # bytes of a block
_MASK = 0x5A  # each byte is changed by it, and changed back


class Blocks:
    """The first blocks of images' files: `PLACE IMAGE`; the place is Glance's store, or a compute node's cache."""

    name = "block"

    def look(self, context: Context, target: str) -> State:
        """Return the file's path and the block; nothing where the node has no such file.

        Raises:
            InputError: the cloud has no such image.
        """
        path = self._path(context, target)
        said = context.ask(f"head -c {_SIZE} {quoting.shell(path)} | base64 -w0")
        return {"path": path, "block": said.stdout}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Write the block into the file, whose time stays.

        Raises:
            RemoteError: the image was made anew meanwhile: its file is another one.
        """
        if now["path"] != wanted["path"]:
            raise RemoteError(f"{wanted['path']} is not the image's file any more")
        path = quoting.shell(wanted["path"])
        script = f"set -e; then=$(stat -c @%.9Y {path}); base64 -d | dd of={path} conv=notrunc status=none"
        context.run(f'{script}; touch -d "$then" {path}', timeout=60, stdin=wanted["block"])

    def same(self, one: State, other: State) -> bool:
        """Whether file and block are the same."""
        return one == other

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return f"{wanted['path']}: its first {_SIZE} bytes"

    def _path(self, context: Context, target: str) -> str:
        place, name = target.split()
        door = context.demand_cloud()
        found = door.translated(lambda: door.admin.image.find_image(name))
        if found is None:
            raise InputError(f"the cloud has no image {name}")
        if place == "store":
            return f"/var/lib/glance/images/{found.id}"
        # Nova calls what it keeps of an image by the hash of the image's ID (nova.virt.libvirt.imagecache).
        digest = hashlib.sha1(found.id.encode(), usedforsecurity=False).hexdigest()
        return f"/var/lib/nova/instances/_base/{digest}"


BLOCKS: Kind = Blocks()


@dataclass(frozen=True, kw_only=True)
class Rotten(Change):
    """Spoils the first block of an image's file.

    Attributes:
        place: store is that of Glance, base the cache of a compute node.
    """

    kind: ClassVar[Kind] = BLOCKS
    place: Literal["store", "base"]
    image: str

    @property
    def target(self) -> str:
        """Place and image."""
        return f"{self.place} {self.image}"

    def judge(self, now: State) -> State:
        """Return the block with every byte changed.

        Raises:
            InputError: the node has no such file.
        """
        if not now["block"]:
            raise InputError(f"there is no {now['path']}")
        spoiled = bytes(each ^ _MASK for each in base64.b64decode(now["block"]))
        return {**now, "block": base64.b64encode(spoiled).decode()}

    def describe(self) -> str:
        """Say which."""
        return f"spoil the first block of {self.image} in the {self.place}"
