"""Builds the test instance image: a few programs out of Debian's packages, busybox in front, on a small bootable disk.

The packages are unpacked, not installed. What `tree.yaml` names is copied into a new root file system, with the
libraries that it needs and the recipe's overlay over it. The initrd holds the driver of the disk and tiny-initramfs'
init, nothing else; neither is compressed, as an emulated processor pays for decompressing.
"""

from __future__ import annotations

import lzma
import os
import re
import shutil
import stat
import struct
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from labctl.errors import CapacityError, InputError, RefusedError
from labctl.images.build import BuiltImage, archive_sources, copy_overlay, finish, grub_command
from labctl.images.recipe import Recipe
from labctl.process import run
from labctl.quoting import shell
from labctl.sizes import GIB, size

ROOM = GIB
"""Bytes of disk that a build needs while it runs."""

_BUILD_SECONDS = 600.0
_SECTOR = 512
_FIRST = 2048
_INIT = "usr/libexec/tiny-initramfs/init-static"
_MERGED = ("bin", "lib", "lib64", "sbin")


@dataclass(frozen=True, kw_only=True)
class Tree:
    """What the root file system takes from the unpacked packages; all paths are absolute inside the instance.

    Attributes:
        programs: files that bring the libraries they are linked to.
        files: files that bring nothing.
        links: symbolic links, name to target.
        folders, fifos: empty folders and named pipes.
        modes: permissions where they are not those of the file that is copied.
        owners: numbers of users who own something, each with a group of the same number; the rest is root's.
        initrd_modules, system_modules: kernel modules' names, in the order of loading.
    """

    programs: tuple[str, ...]
    files: tuple[str, ...]
    links: Mapping[str, str]
    folders: tuple[str, ...]
    fifos: tuple[str, ...]
    modes: Mapping[str, int]
    owners: Mapping[str, int]
    initrd_modules: tuple[str, ...]
    system_modules: tuple[str, ...]

    @classmethod
    def from_file(cls, file: Path) -> Self:
        """Read `tree.yaml`."""
        values: dict[str, Any] = yaml.safe_load(file.read_text())
        return cls(
            programs=tuple(values["programs"]),
            files=tuple(values["files"]),
            links=values["links"],
            folders=tuple(values["folders"]),
            fifos=tuple(values["fifos"]),
            modes={path: int(mode, 8) for path, mode in values["modes"].items()},
            owners=values["owners"],
            initrd_modules=tuple(values["modules"]["initrd"]),
            system_modules=tuple(values["modules"]["system"]),
        )


def build(
    recipe: Recipe,
    *,
    target: Path,
    scratch: Path,
    mirror: str | None,
    progress: Callable[[str], None],
    log: Path,
) -> BuiltImage:
    """Build the image; arguments and errors are those of `labctl.images.build.build`."""
    if os.geteuid() != 0:
        raise RefusedError("an image is built as root", remedy="Run the command with sudo.")
    if shutil.disk_usage(scratch).free < ROOM:
        raise CapacityError(f"a build needs {size(ROOM)} in {scratch}", remedy="Free some disk space.")
    (layer,) = recipe.layers
    tree = Tree.from_file(layer.folder / "tree.yaml")
    unpacked, root, raw = scratch / "unpacked", scratch / "root", scratch / "disk.raw"
    progress("unpacking packages")
    _unpack(recipe, unpacked, archive_sources(recipe, mirror), log)
    progress("assembling the file system")
    _assemble(tree, unpacked, root, layer.overlay and copy_overlay(layer.overlay, scratch / "overlay"))
    progress("writing the disk")
    run(["sh", "-c", f"chroot {shell(str(unpacked))} {grub_command(recipe)}"], timeout=_BUILD_SECONDS, log=log)
    _write_disk(recipe, unpacked, root, raw, log)
    progress("converting to qcow2")
    shutil.rmtree(unpacked)
    shutil.rmtree(root)
    return finish(raw, target, log=log)


def cpio(files: Iterable[tuple[str, int, bytes]]) -> bytes:
    """Write an archive in the kernel's format for an initramfs (its buffer-format.rst), uncompressed.

    Args:
        files: name, mode with its type bits, and content.
    """
    archive = b""
    for inode, (name, mode, content) in enumerate((*files, ("TRAILER!!!", 0, b"")), start=1):
        path = name.encode() + b"\0"
        fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
        archive += _padded(b"070701" + b"".join(b"%08X" % field for field in fields) + path) + _padded(content)
    return archive


def fixed(kernel: bytes) -> bytes:
    """Return a bzImage whose header tells the boot loader that it runs at its preferred address only.

    GRUB then loads it there. A relocatable one it loads elsewhere and moves, all of its `init_size` (59 MB), byte by
    byte: a third of an emulated boot. Field `relocatable_kernel` of the kernel's x86/boot.rst.
    """
    if kernel[0x202:0x206] != b"HdrS":
        raise InputError("the kernel of the recipe is not a bzImage", remedy="Correct the recipe's packages.")
    return kernel[:0x234] + b"\0" + kernel[0x235:]


def initrd(init: bytes, modules: Mapping[str, bytes]) -> bytes:
    """Make an initrd of tiny-initramfs' init and the modules that it loads, in their order."""
    listed = "".join(f"/{name}.ko\n" for name in modules).encode()
    folders = [(name, stat.S_IFDIR | 0o755, b"") for name in ("dev", "proc", "target")]
    files = [("init", stat.S_IFREG | 0o755, init), ("modules", stat.S_IFREG | 0o644, listed)]
    return cpio([*folders, *files, *((f"{name}.ko", stat.S_IFREG | 0o644, code) for name, code in modules.items())])


def libraries(listing: str) -> list[str]:
    """Return the paths in what the dynamic linker's --list says."""
    return re.findall(r"(?:^|=>)\s*(/\S+) \(0x", listing, re.MULTILINE)


def module(unpacked: Path, name: str) -> bytes:
    """Return a kernel module, decompressed."""
    for file in (unpacked / "usr/lib/modules").rglob(f"{name}.ko*"):
        return lzma.decompress(file.read_bytes()) if file.suffix == ".xz" else file.read_bytes()
    raise InputError(f"the kernel of the recipe has no module {name}", remedy="Correct tree.yaml.")


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)


def _unpack(recipe: Recipe, unpacked: Path, sources: list[str], log: Path) -> None:
    """Unpack the recipe's packages and what they depend on; none of their scripts runs."""
    packages = ",".join(name for layer in recipe.layers for name in layer.packages)
    command: list[str | Path] = [
        *("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc"),
        *("mmdebstrap", "--mode=root", "--format=directory", "--variant=extract", "--architectures=amd64"),
        '--aptopt=Acquire::Languages "none"',
        f"--include={packages}",
        recipe.suite,
        unpacked,
        *sources,
    ]
    run(command, timeout=_BUILD_SECONDS, log=log)
    for name in _MERGED:
        if not (unpacked / name).exists():
            (unpacked / name).symlink_to(f"usr/{name}")
    (unpacked / "usr/bin/sh").symlink_to("busybox")


def _assemble(tree: Tree, unpacked: Path, root: Path, overlay: Path | None) -> None:
    for name in _MERGED:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for folder in tree.folders:
        _inside(root, folder).mkdir(parents=True, exist_ok=True)
    for path in _with_libraries(unpacked, tree.programs) + list(tree.files):
        _copy(unpacked, root, path)
    for name, target in tree.links.items():
        _inside(root, name).symlink_to(target)
    _link_applets(unpacked, root)
    _add_kernel(tree, unpacked, root)
    if overlay:
        shutil.copytree(overlay, root, dirs_exist_ok=True)
    _open_folders(root)
    for path in tree.fifos:
        os.mkfifo(_inside(root, path))
    for path, mode in tree.modes.items():
        _inside(root, path).chmod(mode)
    for path, owner in tree.owners.items():
        os.chown(_inside(root, path), owner, owner)


def _open_folders(root: Path) -> None:
    """Let everybody enter all folders, whatever the umask was when they were made."""
    for place in (root, *root.rglob("*")):
        if place.is_dir() and not place.is_symlink():
            place.chmod(0o755)


def _link_applets(unpacked: Path, root: Path) -> None:
    """Give busybox the names of all its commands that no other program has."""
    for applet in run(["chroot", unpacked, "/usr/bin/busybox", "--list-full"], timeout=60).decode().split():
        if not os.path.lexists(link := root / applet):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to("/usr/bin/busybox")


def _add_kernel(tree: Tree, unpacked: Path, root: Path) -> None:
    (kernel,) = unpacked.glob("boot/vmlinuz-*")
    (root / "vmlinuz").write_bytes(fixed(kernel.read_bytes()))
    early = {name: module(unpacked, name) for name in tree.initrd_modules}
    (root / "initrd.img").write_bytes(initrd((unpacked / _INIT).read_bytes(), early))
    (root / "usr/lib/modules").mkdir()
    for name in tree.system_modules:
        (root / f"usr/lib/modules/{name}.ko").write_bytes(module(unpacked, name))


def _with_libraries(unpacked: Path, programs: Iterable[str]) -> list[str]:
    """Return the programs' paths and those of their libraries, each once."""
    found = dict.fromkeys(programs)
    linker = "/usr/lib64/ld-linux-x86-64.so.2"
    for program in programs:
        listing = run(["chroot", unpacked, linker, "--list", program], timeout=60).decode()
        found |= dict.fromkeys(libraries(listing))
    return list(found)


def _copy(unpacked: Path, root: Path, path: str) -> None:
    source, target = _inside(unpacked, path), _inside(root, path)
    if not source.is_file():
        raise InputError(
            f"the packages of the recipe do not contain {path}", remedy="Correct tree.yaml or the packages."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def _inside(root: Path, path: str) -> Path:
    """Return where an absolute path of the instance lies on this machine."""
    return root / path.lstrip("/")


def _write_disk(recipe: Recipe, unpacked: Path, root: Path, raw: Path, log: Path) -> None:
    """Write boot code, partition table and file system into a sparse file.

    The partition ends where no disk does: the kernel cuts it at the end of the disk that there is (add_partition in
    its block/partitions/core.c), so it grows with the disk by itself.
    """
    code = (unpacked / "core.img").read_bytes()
    boot = (unpacked / "usr/lib/grub/i386-pc/boot.img").read_bytes()[:440]
    sectors = int(recipe.size * 1024**3) // _SECTOR
    length = 0xFFFFFFFF - _FIRST
    (root / "var/lib/instance/sectors").write_text(f"{sectors - _FIRST}\n")  # a larger disk is grown into
    with raw.open("wb") as disk:
        disk.truncate(sectors * _SECTOR)
        disk.write(boot)
        disk.seek(446)
        disk.write(struct.pack("<B3sB3sII", 0x80, b"\xfe\xff\xff", 0x83, b"\xfe\xff\xff", _FIRST, length))
        disk.seek(510)
        disk.write(b"\x55\xaa" + code)
    extended = f"offset={_FIRST * _SECTOR},lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0"
    make = ["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-U", str(uuid.uuid4()), "-m", "1", "-i", "32768"]
    kib = (sectors - _FIRST) * _SECTOR // 1024
    run([*make, "-E", extended, "-d", root, raw, f"{kib}k"], timeout=_BUILD_SECONDS, log=log)
