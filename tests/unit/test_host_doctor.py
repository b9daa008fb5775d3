from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.errors import RefusedError
from labctl.host import merging
from labctl.host.doctor import Finding, Level, judge
from labctl.host.facts import HomeFacts, KvmFacts, MachineFacts
from labctl.host.merging import MergingFacts
from labctl.host.packages import Kind, Package
from labctl.host.private import HostStatus, State

GIB = 1 << 30
GOOD = MachineFacts(
    root=True,
    home=HomeFacts(path=Path("/var/lib/labctl"), mode=0o700, obstacle=""),
    python=(3, 11, 2),
    processors=8,
    memory=64 * 1024,
    memory_free=60 * 1024,
    disk_free=100 * GIB,
    disk_path=Path("/var/lib"),
    kvm=KvmFacts(flag=True, device=True, opens=True, mode=0o660, nested=True),
    missing=(),
    features={"bridge": True, "veth": True},
    system_libvirt=True,
    chroot=False,
    merging=MergingFacts(on=True, saved=5 * GIB),
)
TINI = Package(kind=Kind.RUN, name="tini", programs=("tini",), purpose="process 1")
MMDEBSTRAP = Package(kind=Kind.IMAGE, name="mmdebstrap", programs=("mmdebstrap",), purpose="file systems")


def found(machine: MachineFacts, id_: str, *hosts: HostStatus) -> Finding:
    return next(finding for finding in judge(machine, hosts) if finding.id == id_)


def host(state: State, *, labs: bool = False, closed: tuple[Path, ...] = ()) -> HostStatus:
    folder = Path("/x")
    return HostStatus(
        name="dev", folder=folder, uri="u", state=state, process=None, guests=(), labs=labs, closed=closed
    )


def test_a_good_machine_has_nothing_to_remedy() -> None:
    assert {(finding.level, finding.remedy) for finding in judge(GOOD, [])} == {(Level.OK, "")}


def test_what_is_not_well_has_a_remedy() -> None:
    bad = MachineFacts(
        root=False,
        home=HomeFacts(path=Path("/proc"), mode=0o555, obstacle="No such file or directory"),
        python=(3, 9, 2),
        processors=1,
        memory=512,
        memory_free=100,
        disk_free=GIB,
        disk_path=Path("/"),
        kvm=KvmFacts(flag=False, device=False, opens=False, mode=None, nested=None),
        missing=(TINI, MMDEBSTRAP),
        features={"bridge": False},
        system_libvirt=False,
        chroot=True,
        merging=None,
    )
    findings = judge(bad, [host(State.STARTING), host(State.STOPPING), host(State.DOWN, labs=True)])
    lacking = [finding.id for finding in findings if finding.level is not Level.OK and not finding.remedy]
    assert lacking == []
    errors = {finding.id for finding in findings if finding.level is Level.ERROR}
    assert errors == {"home", "python", "packages", "memory", "disk", "kernel", "libvirt"}


def test_missing_packages_are_named_in_one_command() -> None:
    openssh = Package(kind=Kind.RUN, name="openssh-client", programs=("ssh",), purpose="labctl ssh")
    finding = found(replace(GOOD, missing=(TINI, openssh, MMDEBSTRAP)), "packages")
    assert finding.level is Level.ERROR
    assert finding.remedy == "apt-get install --no-install-recommends tini openssh-client"


def test_packages_for_images_only_warn() -> None:
    machine = replace(GOOD, missing=(MMDEBSTRAP,))
    assert found(machine, "packages").level is Level.OK
    assert found(machine, "image-packages").level is Level.WARNING


@pytest.mark.parametrize(
    ("kvm", "said"),
    [
        (KvmFacts(flag=False, device=True, opens=True, mode=0o666, nested=None), "cannot be trusted"),
        (KvmFacts(flag=False, device=False, opens=False, mode=None, nested=None), "neither vmx nor svm"),
        (KvmFacts(flag=True, device=False, opens=False, mode=None, nested=None), "there is no /dev/kvm"),
        (KvmFacts(flag=True, device=True, opens=False, mode=0o600, nested=None), "mode 0600"),
    ],
)
def test_without_kvm_labs_are_slow_not_impossible(kvm: KvmFacts, said: str) -> None:
    finding = found(replace(GOOD, kvm=kvm), "kvm")
    assert finding.level is Level.WARNING
    assert said in finding.what
    assert "emulated" in finding.what


def test_nesting_matters_only_with_kvm() -> None:
    flat = replace(GOOD.kvm, nested=False)
    assert found(replace(GOOD, kvm=flat), "nested").level is Level.WARNING
    assert found(replace(GOOD, kvm=replace(flat, flag=False)), "nested").level is Level.OK


def test_root_without_libvirt_starts_a_private_host() -> None:
    assert found(replace(GOOD, system_libvirt=False), "libvirt").level is Level.OK
    assert found(replace(GOOD, system_libvirt=False, root=False), "libvirt").level is Level.ERROR
    assert found(replace(GOOD, system_libvirt=False, root=False), "libvirt", host(State.UP)).level is Level.OK


def test_a_half_made_private_host_is_reported() -> None:
    assert found(GOOD, "host-dev", host(State.STARTING)).level is Level.WARNING
    assert found(GOOD, "host-dev", host(State.UP)).level is Level.OK


def test_a_private_host_whose_folders_qemu_cannot_enter_is_reported() -> None:
    """Folders that an older labctl made with umask 027."""
    finding = found(GOOD, "host-dev", host(State.UP, closed=(Path("/x/lib"),)))
    assert (finding.level, "/x/lib" in finding.what) == (Level.ERROR, True)
    assert finding.remedy.startswith("labctl host up dev")


@pytest.mark.parametrize(
    ("mode", "obstacle", "level"),
    [
        (None, "", Level.OK),
        (0o700, "", Level.OK),
        (0o777, "", Level.WARNING),
        (0o755, "", Level.WARNING),
        (0o700, "Read-only file system", Level.ERROR),
    ],
)
def test_the_state_folder_is_written_by_us_and_read_by_nobody_else(
    mode: int | None, obstacle: str, level: Level
) -> None:
    home = HomeFacts(path=Path("/s p"), mode=mode, obstacle=obstacle)
    finding = found(replace(GOOD, home=home), "home")
    assert finding.level is level
    if level is Level.WARNING:
        assert finding.remedy == "chmod 0700 '/s p'"


def test_a_chroot_that_is_no_mount_point_is_named() -> None:
    finding = found(replace(GOOD, chroot=True, features={"namespaces": False}), "kernel")
    assert finding.level is Level.ERROR
    assert "chroot" in finding.what


def test_same_page_merging_that_is_off_is_offered() -> None:
    assert found(GOOD, "merging").what == "It is on, and saves 5 GiB now."
    off = found(replace(GOOD, merging=MergingFacts(on=False, saved=0)), "merging")
    assert "labctl host tune --merging" in off.what
    assert "has none" in found(replace(GOOD, merging=None), "merging").what


def test_same_page_merging_is_switched_at_a_pace_that_suits_labs(tmp_path: Path) -> None:
    assert merging.facts(tmp_path) is None
    with pytest.raises(RefusedError, match="no same-page merging"):
        merging.switch(on=True, folder=tmp_path)
    for name, value in {"run": 0, "pages_to_scan": 100, "sleep_millisecs": 20, "pages_sharing": 2560}.items():
        (tmp_path / name).write_text(f"{value}\n")
    assert merging.facts(tmp_path) == MergingFacts(on=False, saved=2560 * os.sysconf("SC_PAGE_SIZE"))
    merging.switch(on=True, folder=tmp_path)
    assert [(tmp_path / name).read_text() for name in ("run", "pages_to_scan")] == ["1", "5000"]
    merging.switch(on=False, folder=tmp_path)
    assert merging.facts(tmp_path) == MergingFacts(on=False, saved=2560 * os.sysconf("SC_PAGE_SIZE"))
