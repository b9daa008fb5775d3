"""Reports whether labs can run here, and what to do if they cannot."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from labctl.host import facts, private
from labctl.host.facts import MachineFacts
from labctl.host.packages import Kind
from labctl.host.private import HostStatus, State
from labctl.quoting import shell
from labctl.sizes import GIB, MIB, size

# A gridka lab of eight emulated nodes, idle; a mini lab of two.
_MEMORY_WELL, _MEMORY_LEAST = 6 * 1024, 1536  # MiB
_DISK_WELL, _DISK_LEAST = 20 * GIB, 4 * GIB  # bytes


class Level(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        id: stable word for scripts.
        title: what was looked at.
        level: ERROR means that labs cannot run.
        what: what was found.
        remedy: what to do; empty when all is well.
    """

    id: str
    title: str
    level: Level
    what: str
    remedy: str = ""


def examine(home: Path, hosts: Path) -> list[Finding]:
    """Look at this machine and judge it.

    Args:
        home: labctl's state folder.
        hosts: folder of the private hosts.
    """
    if not Path("/proc/self").exists():
        remedy = "mount -t proc proc /proc; in a chroot, give it /sys and /dev as well."
        return [_error("proc", "Processes", "No /proc is mounted here, so this machine cannot be examined.", remedy)]
    machine = facts.gather(home, hosts)
    found = [private.status(name, hosts) for name in private.names(hosts)] if machine.root else []
    return judge(machine, found)


def judge(machine: MachineFacts, hosts: Sequence[HostStatus]) -> list[Finding]:
    """Judge what was found, without looking again.

    Args:
        machine: the machine.
        hosts: its private hosts.
    """
    judges: tuple[Callable[[MachineFacts], Finding], ...] = (
        _root, _home, _python, _packages, _image_packages, _kvm, _nested, _processors, _memory, _merging, _disk,
        _kernel,
    )  # fmt: skip
    return [*(one(machine) for one in judges), _libvirt(machine, hosts), *_half_made(hosts)]


def _root(machine: MachineFacts) -> Finding:
    if machine.root:
        return _ok("root", "Permission", "labctl runs as root.")
    what = "labctl does not run as root: a host that runs already can be used, a private host cannot be started."
    return _warn("root", "Permission", what, "Run labctl with sudo, or join the group libvirt: adduser $USER libvirt")


def _home(machine: MachineFacts) -> Finding:
    home, title = machine.home, "State folder"
    if home.obstacle:
        what = f"Nothing can be written in {home.path}: {home.obstacle}."
        return _error(
            "home", title, what, "Name another folder with LABCTL_HOME, or run labctl as the owner of this one."
        )
    if home.mode is not None and home.mode & 0o077:
        what = f"Other users can read {home.path} (mode {home.mode:04o}); it contains keys and passwords."
        return _warn("home", title, what, f"chmod 0700 {shell(str(home.path))}")
    return _ok("home", title, f"{home.path} can be written.")


def _python(machine: MachineFacts) -> Finding:
    version = ".".join(map(str, machine.python))
    if machine.python >= (3, 11):
        return _ok("python", "Python", f"Version {version}.")
    return _error("python", "Python", f"Version {version} is too old.", "Use Python 3.11 or later (Debian 12 has it).")


def _packages(machine: MachineFacts) -> Finding:
    lacking = [package for package in machine.missing if package.kind is Kind.RUN]
    if not lacking:
        return _ok("packages", "Packages", "All programs that labs need are installed.")
    what = "Missing: " + ", ".join(f"{package.name} ({package.purpose})" for package in lacking)
    return _error("packages", "Packages", what, _install(package.name for package in lacking))


def _image_packages(machine: MachineFacts) -> Finding:
    lacking = [package for package in machine.missing if package.kind is Kind.IMAGE]
    if not lacking:
        return _ok("image-packages", "Packages for making images", "All are installed.")
    what = "Images and golden sets cannot be made here, only imported. Missing: " + ", ".join(
        package.name for package in lacking
    )
    return _warn("image-packages", "Packages for making images", what, _install(package.name for package in lacking))


def _kvm(machine: MachineFacts) -> Finding:
    kvm, title = machine.kvm, "Virtualisation"
    slower = "Guests are emulated: they work, about ten times slower."
    if kvm.usable:
        return _ok("kvm", title, "KVM works.")
    if not kvm.flag:
        why = "The processor shows neither vmx nor svm"
        why += ", so the existing /dev/kvm cannot be trusted. " if kvm.device else ". "
        remedy = "Switch virtualisation on in the firmware (VT-x, AMD-V); on a rented machine, ask for nested KVM."
        return _warn("kvm", title, why + slower, remedy)
    if not kvm.device:
        what = f"The processor has it, but there is no /dev/kvm. {slower}"
        return _warn("kvm", title, what, "modprobe kvm_intel || modprobe kvm_amd")
    what = f"/dev/kvm (mode {kvm.mode or 0:04o}) cannot be opened. {slower}"
    return _warn("kvm", title, what, "chown root:kvm /dev/kvm && chmod 0660 /dev/kvm; or: adduser $USER kvm")


def _nested(machine: MachineFacts) -> Finding:
    title = "Nested virtualisation"
    if not machine.kvm.usable:
        return _ok("nested", title, "Not needed: emulated compute nodes use what their emulated processors offer.")
    if machine.kvm.nested:
        return _ok("nested", title, "Compute nodes can use KVM themselves.")
    return _warn(
        "nested",
        title,
        "Compute nodes cannot use KVM: instances in the lab are emulated, slowly.",
        "Stop all guests, then: modprobe -r kvm_intel && modprobe kvm_intel nested=1 (AMD: kvm_amd)",
    )


def _processors(machine: MachineFacts) -> Finding:
    what = f"{machine.processors} can be used."
    if machine.processors >= 2:
        return _ok("processors", "Processors", what)
    return _warn("processors", "Processors", what, "Give the machine two or more: eight nodes boot one after another.")


def _memory(machine: MachineFacts) -> Finding:
    what = f"{size(machine.memory_free * MIB)} of {size(machine.memory * MIB)} are free."
    return _amount("memory", "Memory", machine.memory_free, (_MEMORY_WELL, _MEMORY_LEAST), what, "memory")


def _merging(machine: MachineFacts) -> Finding:
    title = "Same-page merging"
    if machine.merging is None:
        return _ok("merging", title, "The kernel has none: every lab takes its own memory.")
    if not machine.merging.on:
        what = "It is off. labctl host tune --merging switches it on: labs of one image then share equal memory."
        return _ok("merging", title, what)
    return _ok("merging", title, f"It is on, and saves {size(machine.merging.saved)} now.")


def _disk(machine: MachineFacts) -> Finding:
    what = f"{size(machine.disk_free)} are free in {machine.disk_path}."
    return _amount("disk", "Disk", machine.disk_free, (_DISK_WELL, _DISK_LEAST), what, "disk space")


def _kernel(machine: MachineFacts) -> Finding:
    title = "Kernel"
    if machine.chroot:
        what = "This is a chroot whose root folder is no mount point: no mount namespace can be made in it."
        remedy = "Outside: mount --bind FOLDER FOLDER, mount /proc, /sys and /dev in it, then chroot FOLDER."
        return _error("kernel", title, what, remedy)
    if not machine.features:
        return _warn("kernel", title, "Could not be tried.", "Install the packages above and run doctor as root.")
    lacking = [name for name, works in machine.features.items() if not works]
    if not lacking:
        return _ok("kernel", title, f"These work: {', '.join(machine.features)}.")
    remedy = "Use the distribution's stock kernel; in a container, start it privileged."
    return _error("kernel", title, f"These do not work: {', '.join(lacking)}.", remedy)


def _libvirt(machine: MachineFacts, hosts: Sequence[HostStatus]) -> Finding:
    up = [host.name for host in hosts if host.state is State.UP]
    if machine.system_libvirt:
        return _ok("libvirt", "libvirt", "qemu:///system answers.")
    if up:
        return _ok("libvirt", "libvirt", f"Private host {', '.join(up)} answers.")
    if machine.root:
        what = "No qemu:///system here; the first lab starts a private host."
        return _ok("libvirt", "libvirt", what)
    return _error("libvirt", "libvirt", "No libvirt answers.", "sudo labctl host up")


def _half_made(hosts: Sequence[HostStatus]) -> Iterator[Finding]:
    for host in hosts:
        id_, title = f"host-{host.name}", f"Private host {host.name}"
        if host.state is State.STARTING:
            what = "Its processes run, but its libvirt does not answer: an interrupted start, or a daemon that hangs."
            yield _warn(
                id_, title, what, f"labctl host up; if that does not help: labctl host down --force; {host.folder}/log"
            )
        elif host.state is State.STOPPING:
            yield _warn(id_, title, "Its stop was interrupted.", "labctl host down --force")
        elif host.state is State.DOWN and host.labs:
            yield _warn(id_, title, "It is down; its labs are kept on disk.", "labctl host up brings them back.")
        elif host.closed:
            what = f"QEMU cannot enter {', '.join(map(str, host.closed))}, so no lab starts."
            yield _error(id_, title, what, f"labctl host up {host.name} gives the folders their modes again.")
        else:
            yield _ok(id_, title, f"It is {host.state}.")


def _amount(id_: str, title: str, free: int, limits: tuple[int, int], what: str, noun: str) -> Finding:
    well, least = limits
    if free >= well:
        return _ok(id_, title, what)
    if free >= least:
        return _warn(
            id_, title, f"{what} A lab of eight nodes may not fit.", f"Free some {noun}, or use topology mini."
        )
    return _error(id_, title, f"{what} No lab fits.", f"Free some {noun}.")


def _install(names: Iterator[str]) -> str:
    return "apt-get install --no-install-recommends " + " ".join(names)


def _ok(id_: str, title: str, what: str) -> Finding:
    return Finding(id=id_, title=title, level=Level.OK, what=what)


def _warn(id_: str, title: str, what: str, remedy: str) -> Finding:
    return Finding(id=id_, title=title, level=Level.WARNING, what=what, remedy=remedy)


def _error(id_: str, title: str, what: str, remedy: str) -> Finding:
    return Finding(id=id_, title=title, level=Level.ERROR, what=what, remedy=remedy)
