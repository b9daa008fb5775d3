from __future__ import annotations

import json
import os
import stat
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl import data
from labctl.errors import InputError
from labctl.images import instance, recipe

FOLDER = data.folder("images") / "instance"
OVERLAY = FOLDER / "overlay"
SCRIPTS = sorted((OVERLAY / "usr/lib/instance").iterdir())


def entries(archive: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Read a cpio archive as the kernel does: name, mode and content of each entry before the trailer."""
    place = 0
    while True:
        assert archive[place : place + 6] == b"070701"
        fields = [int(archive[place + 6 + 8 * n : place + 14 + 8 * n], 16) for n in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = archive[place + 110 : place + 110 + length]
        assert name[-1:] == b"\0"
        content = -(-(place + 110 + length) // 4) * 4
        if name == b"TRAILER!!!\0":
            return
        yield name[:-1].decode(), mode, archive[content : content + size]
        place = -(-(content + size) // 4) * 4


def learnt(folder: Path, document: str) -> list[str]:
    """Return what the shell script of the image finds in a metadata document: UUID, host name, and the keys."""
    script = (OVERLAY / "usr/lib/instance/metadata").read_text()
    functions = script.partition("\nif ask; then")[0]
    (folder / "meta_data.json").write_text(document)
    functions = functions.replace("/run/meta_data.json", str(folder / "meta_data.json"))
    run = f'{functions}\nfetch() {{ :; }}\nask > /dev/null\necho "$uuid"\necho "$name"\npublic_keys\n'
    return subprocess.run(["sh", "-c", run], capture_output=True, text=True, check=True).stdout.splitlines()


def test_the_shipped_tree_is_complete() -> None:
    tree = instance.Tree.from_file(FOLDER / "tree.yaml")
    assert tree.initrd_modules == ("virtio_blk",), "the kernel has everything else that the root file system needs"
    for path in (*tree.programs, *tree.files, *tree.folders, *tree.links, *tree.modes):
        assert path.startswith("/")
    assert tree.modes["/etc/shadow"] == 0o640
    assert tree.modes["/tmp"] == 0o1777


def test_the_boot_loads_the_modules_that_the_image_has() -> None:
    boot = (OVERLAY / "usr/lib/instance/boot").read_text()
    for module in instance.Tree.from_file(FOLDER / "tree.yaml").system_modules:
        assert module in boot


def test_the_kernel_talks_to_both_consoles_and_the_serial_one_is_first_in_rank() -> None:
    words = recipe.load("instance").kernel_cmdline.split()
    assert {"no_timer_check", "tsc=unstable", "net.ifnames=0", "quiet"} <= set(words)
    assert words.index("console=tty0") < words.index("console=ttyS0")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda file: file.name)
def test_every_script_is_executable_and_parses(script: Path) -> None:
    assert os.access(script, os.X_OK)
    assert subprocess.run(["sh", "-n", script], check=False).returncode == 0


def test_an_archive_holds_names_modes_and_contents() -> None:
    files = [
        ("dev", stat.S_IFDIR | 0o755, b""),
        ("init", stat.S_IFREG | 0o755, b"odd"),
        ("a", stat.S_IFREG | 0o644, b""),
    ]
    assert list(entries(instance.cpio(files))) == files


def test_an_initrd_lists_its_modules_in_the_order_of_loading() -> None:
    found = {
        name: content for name, _, content in entries(instance.initrd(b"program", {"second": b"2", "first": b"1"}))
    }
    assert found["init"] == b"program"
    assert found["modules"] == b"/second.ko\n/first.ko\n"
    assert (found["second.ko"], found["first.ko"]) == (b"2", b"1")


def test_libraries_are_read_from_what_the_linker_says() -> None:
    listing = (
        "\tlinux-vdso.so.1 (0x00007ffd5a1f2000)\n"
        "\tlibz.so.1 => /lib/x86_64-linux-gnu/libz.so.1 (0x00007f3a4c000000)\n"
        "\t/lib64/ld-linux-x86-64.so.2 => /usr/lib64/ld-linux-x86-64.so.2 (0x00007f3a4c2d0000)\n"
        "\t/lib/other.so (0x00007f3a4c2d0000)\n"
    )
    paths = ["/lib/x86_64-linux-gnu/libz.so.1", "/usr/lib64/ld-linux-x86-64.so.2", "/lib/other.so"]
    assert instance.libraries(listing) == paths


def test_only_the_kernels_header_field_is_changed() -> None:
    kernel = bytearray(os.urandom(4096))
    kernel[0x202:0x206] = b"HdrS"
    struct.pack_into("B", kernel, 0x234, 1)
    fixed = instance.fixed(bytes(kernel))
    assert fixed[0x234] == 0
    assert [place for place in range(4096) if fixed[place] != kernel[place]] == [0x234]


def test_what_is_no_kernel_is_refused() -> None:
    with pytest.raises(InputError, match="not a bzImage"):
        instance.fixed(bytes(4096))


def test_a_module_that_the_kernel_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="floppy"):
        instance.module(tmp_path, "floppy")


def test_the_instance_reads_its_metadata(tmp_path: Path) -> None:
    document = {
        "uuid": "1-2",
        "meta": {"hostname": "trap", "public_keys": "trap"},
        "public_keys": {"my.key": "ssh-rsa BBBB somebody\n", "other": "ssh-ed25519 AAAA/+= a:b"},
        "keys": [{"name": "my.key", "type": "ssh", "data": "ssh-rsa BBBB"}],
        "hostname": "vm1.novalocal",
        "name": "vm1",
        "launch_index": 0,
        "devices": [],
        "dedicated": None,
    }
    found = ["1-2", "vm1", "ssh-rsa BBBB somebody", "ssh-ed25519 AAAA/+= a:b"]
    for text in (json.dumps(document), json.dumps(document, indent=2), json.dumps(document, separators=(",", ":"))):
        assert learnt(tmp_path, text) == found


def test_an_instance_without_keys_has_none(tmp_path: Path) -> None:
    assert learnt(tmp_path, '{"uuid": "1-2", "hostname": "vm1", "keys": [{"name": "x"}]}') == ["1-2", "vm1"]
    assert learnt(tmp_path, '{"uuid": "1-2", "public_keys": {}, "hostname": "vm1"}') == ["1-2", "vm1"]
