"""Finds out about this machine, changing nothing."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import ProcessError
from labctl.host import merging
from labctl.host.answer import answers
from labctl.host.merging import MergingFacts
from labctl.host.packages import Package, known
from labctl.process import find, run

_MOUNTS = Path("/proc/self/mountinfo")
_CPUINFO = Path("/proc/cpuinfo")
_KVM = Path("/dev/kvm")
_SYSTEM_SOCKET = Path("/run/libvirt/libvirt-sock")

# Each feature is tried in namespaces of its own, where nothing of it stays.
_FEATURES = {
    "bridge": "ip link add probe0 type bridge",
    "veth": "ip link add probe1 type veth peer name probe2",
    "tun": "ip tuntap add probe3 mode tap",
    "nftables": "nft 'add table inet probe; add chain inet probe c { type filter hook input priority 0; };"
    " add rule inet probe c fib daddr . iif type local ct state established accept'",
    "nat": "nft 'add table ip probe; add chain ip probe c { type nat hook postrouting priority 100; };"
    " add rule ip probe c masquerade'",
    "sysfs": "mount -t sysfs sysfs /sys",
}


@dataclass(frozen=True, kw_only=True)
class KvmFacts:
    """What there is of KVM.

    Attributes:
        flag: whether the processor says that it can (vmx or svm).
        device: whether /dev/kvm exists.
        opens: whether we may open it.
        mode: its permission bits; None when it does not exist.
        nested: whether guests can be hosts themselves; None when no module says.
    """

    flag: bool
    device: bool
    opens: bool
    mode: int | None
    nested: bool | None

    @property
    def usable(self) -> bool:
        """Whether guests can run on the processor itself."""
        return self.flag and self.opens


@dataclass(frozen=True, kw_only=True)
class HomeFacts:
    """What there is of labctl's state folder.

    Attributes:
        mode: its permission bits; None when it does not exist.
        obstacle: why nothing can be written there; empty when it can.
    """

    path: Path
    mode: int | None
    obstacle: str


@dataclass(frozen=True, kw_only=True)
class MachineFacts:
    """What this machine has to offer to labs.

    Attributes:
        root: whether we are root.
        python: version in two or three numbers.
        processors: how many this process may use.
        memory: MiB in total.
        memory_free: MiB that can be had without swapping.
        disk_free: bytes free where the state folder is or will be.
        disk_path: the existing folder that was asked.
        missing: packages of which a program is missing.
        features: kernel feature to whether it works; empty when it could not be tried.
        system_libvirt: whether a libvirtd answers at the machine's own socket.
        chroot: whether our root folder is no mount point, as in a chroot: then no mount namespace can be made.
        merging: what same-page merging does; None where the kernel has none.
    """

    root: bool
    home: HomeFacts
    python: tuple[int, ...]
    processors: int
    memory: int
    memory_free: int
    disk_free: int
    disk_path: Path
    kvm: KvmFacts
    missing: tuple[Package, ...]
    features: dict[str, bool]
    system_libvirt: bool
    chroot: bool
    merging: MergingFacts | None


def gather(home: Path, hosts: Path) -> MachineFacts:
    """Look at this machine.

    Args:
        home: labctl's state folder, whether it exists or not.
        hosts: folder of the private hosts and of their labs' disks, whether it exists or not.
    """
    memory = parse_meminfo(Path("/proc/meminfo").read_text())
    place = _existing(hosts)
    return MachineFacts(
        root=os.geteuid() == 0,
        home=home_facts(home),
        python=sys.version_info[:3],
        processors=len(os.sched_getaffinity(0)),
        memory=memory["MemTotal"] // 1024,
        memory_free=memory["MemAvailable"] // 1024,
        disk_free=shutil.disk_usage(place).free,
        disk_path=place,
        kvm=kvm(),
        missing=missing(known()),
        features=features(),
        system_libvirt=answers(_SYSTEM_SOCKET, timeout=5),
        chroot=not has_root_mount(_MOUNTS.read_text()),
        merging=merging.facts(),
    )


def features() -> dict[str, bool]:
    """Try the kernel features that a private host needs; empty when we are not root or a tool is missing."""
    if os.geteuid() != 0 or not all(find(program) for program in ("unshare", "ip", "nft", "mount")):
        return {}
    script = "".join(
        f"if {command} >/dev/null 2>&1; then echo {name} yes; else echo {name} no; fi\n"
        for name, command in _FEATURES.items()
    )
    try:
        said = run(
            ["unshare", "--net", "--mount", "--pid", "--ipc", "--uts", "--fork", "/bin/sh", "-c", script], timeout=20
        )
    except ProcessError:
        return {"namespaces": False}
    words = (line.split() for line in said.decode().splitlines())
    return {"namespaces": True} | {name: answer == "yes" for name, answer in words}


def has_root_mount(mountinfo: str) -> bool:
    """Whether the text of /proc/self/mountinfo (proc(5)) has something mounted at our root folder."""
    return any(line.split()[4] == "/" for line in mountinfo.splitlines())


def has_systemd() -> bool:
    """Whether systemd runs the machine (sd_booted(3) looks at the same folder)."""
    return Path("/run/systemd/system").is_dir()


def has_virtualisation(cpuinfo: str) -> bool:
    """Whether the text of /proc/cpuinfo names Intel's or AMD's virtualisation among the flags."""
    flags = {flag for line in cpuinfo.splitlines() if line.startswith("flags") for flag in line.split()}
    return not flags.isdisjoint({"vmx", "svm"})


def home_facts(home: Path) -> HomeFacts:
    """Look at the state folder; whether it can be written is tried, for root may write where a file system may not."""
    obstacle = ""
    try:
        Path(tempfile.mkdtemp(prefix=".doctor.", dir=_existing(home))).rmdir()
    except OSError as exc:
        obstacle = exc.strerror or str(exc)
    return HomeFacts(path=home, mode=stat.S_IMODE(home.stat().st_mode) if home.is_dir() else None, obstacle=obstacle)


def kvm() -> KvmFacts:
    """Look at the processor, the module and the device of KVM."""
    device = _KVM.exists()
    return KvmFacts(
        flag=has_virtualisation(_CPUINFO.read_text()),
        device=device,
        opens=device and _opens(_KVM),
        mode=stat.S_IMODE(_KVM.stat().st_mode) if device else None,
        nested=_nested(),
    )


def kvm_usable() -> bool:
    """Whether guests can run on the processor itself.

    A /dev/kvm alone proves nothing: without vmx or svm in /proc/cpuinfo it lets firmware run and hangs 64-bit kernels.
    """
    return kvm().usable


def missing(packages: tuple[Package, ...]) -> tuple[Package, ...]:
    """Return the packages of which a program cannot be found."""
    return tuple(package for package in packages if not all(find(program) for program in package.programs))


def parse_meminfo(text: str) -> dict[str, int]:
    """Read /proc/meminfo: name to KiB."""
    return {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in text.splitlines()) if rest}


def _existing(path: Path) -> Path:
    """Return a path, or the nearest one above it that exists."""
    return next(place for place in (path.absolute(), *path.absolute().parents) if place.exists())


def _nested() -> bool | None:
    for module in ("kvm_intel", "kvm_amd"):
        setting = Path(f"/sys/module/{module}/parameters/nested")
        if setting.exists():
            return setting.read_text().strip() in ("1", "Y")
    return None


def _opens(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True
