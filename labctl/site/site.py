"""The host of a lab: its connection, and what was found on it."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal

from labctl import pace
from labctl.errors import HypervisorError, InputError
from labctl.host import private
from labctl.host.private import PrivateHost
from labctl.hypervisor import DomainFacts, HostFacts, Hypervisor, Listing, NetworkFacts, PoolFacts, VolumeFacts
from labctl.images.store import ImageStore
from labctl.pace import Pace
from labctl.plan.model import LabPlan
from labctl.remote import dial
from labctl.remote import wait as remote_wait
from labctl.remote.dial import Dialer
from labctl.remote.wait import LogIn
from labctl.render import xml
from labctl.render.xml import Machine
from labctl.spec import host as host_files
from labctl.spec.host import Host, Pool
from labctl.state import Home

PRIVATE = "local"  # name of the private host that is used when none is named
_SYSTEM_SOCKETS = (Path("/run/libvirt/libvirt-sock"), Path("/run/libvirt/virtqemud-sock"))


@dataclass(frozen=True)
class Site:
    """A connected host. What it holds is listed once, when it is first asked for.

    Attributes:
        name: how records refer to it: a private host's name, a host file's name or a URI.
        virt: kvm or qemu.
        log_in: waits for a guest's SSH and logs in to it.
        emulated: why new labs are emulated there though nobody asked for it; empty where they are not.
        private: the private host that it is, if it is one.
    """

    name: str
    settings: Host
    hypervisor: Hypervisor
    dialer: Dialer
    virt: Literal["kvm", "qemu"]
    log_in: LogIn = remote_wait.log_in
    emulated: str = ""
    private: PrivateHost | None = None

    @property
    def pace(self) -> Pace:
        """How long its nodes take."""
        return pace.pace(self.virt)

    @functools.cached_property
    def host(self) -> HostFacts:
        """The machine."""
        return self.hypervisor.host()

    @functools.cached_property
    def domains(self) -> Listing[DomainFacts]:
        """Every domain by name."""
        return self.hypervisor.domains()

    @functools.cached_property
    def networks(self) -> Listing[NetworkFacts]:
        """Every network by name."""
        return self.hypervisor.networks()

    @functools.cached_property
    def pool(self) -> PoolFacts:
        """The pool for images and disks, which is made where it is missing and started where it is off."""
        return _ready_pool(self.hypervisor, self.settings.pool)

    def room(self) -> PoolFacts:
        """Return the pool as its file system is now; libvirt's own numbers are as old as its last look."""
        self.hypervisor.refresh_pool(self.pool.name)
        return self.hypervisor.pools()[self.pool.name]

    @functools.cached_property
    def volumes(self) -> Listing[VolumeFacts]:
        """Every volume of the pool by name."""
        return self.hypervisor.volumes(self.pool.name)

    @functools.cached_property
    def images(self) -> ImageStore:
        """The base images of the pool."""
        return ImageStore(self.hypervisor, self.pool.name)

    @functools.cached_property
    def machine(self) -> Machine:
        """The kind of machine that guests are."""
        volumes = PurePosixPath(self.pool.path)
        if self.virt == "kvm":
            return Machine(virt="kvm", volumes=volumes)
        # QEMU 7.2 emulates cmpxchg16b so that an interrupt at the wrong moment garbles the flags register: one boot
        # in a few ends in a kernel panic. Linux does without the instruction where the processor has none.
        return Machine(virt="qemu", volumes=volumes, cpu="qemu64", lacks=("cx16",))

    def share(self, lab: LabPlan) -> None:
        """Give a lab's running nodes the share of one lab, where this is a private host; after nodes were started."""
        if self.private is not None:
            self.private.share(lab.identity.stem, [node.domain for node in lab.nodes])

    def unshare(self, lab: LabPlan) -> None:
        """Remove what `share` made for a lab whose nodes are gone."""
        if self.private is not None:
            self.private.unshare(lab.identity.stem)

    def again(self) -> Site:
        """Return the same site with nothing listed yet."""
        return replace(self)


@contextlib.contextmanager
def opened(
    home: Home,
    name: str | None = None,
    *,
    virt: str | None = None,
    recorded: str | None = None,
    start: bool = True,
) -> Iterator[Site]:
    """Connect to a host.

    Args:
        name: a private host's name, a host file's name, or a libvirt URI; None chooses: LABCTL_HOST, else the
            machine's own libvirt where one answers, else the private host, which is started.
        virt: kvm or qemu, to overrule for new labs what the host offers.
        recorded: what the labs that stand there were made with. It is taken as it is: a lab whose host lost its KVM can
            be looked at and destroyed.
        start: whether to start a private host that is down.

    Raises:
        InputError: there is no such host, or it has no KVM and KVM was asked for.
        HypervisorError: nothing answers there.
    """
    name = name or os.environ.get("LABCTL_HOST") or default_name()
    settings = load_settings(home, name)
    uri, dialer, host = _door(home, name, settings, start=start)
    with contextlib.closing(dialer), Hypervisor(uri) as hypervisor:
        if recorded is not None:
            yield Site(name, settings, hypervisor, dialer, "kvm" if recorded == "kvm" else "qemu", private=host)
            return
        obstacle = hypervisor.kvm_obstacle()
        chosen = _virt(obstacle, name, virt)
        emulated = "" if virt == "qemu" else obstacle
        yield Site(name, settings, hypervisor, dialer, chosen, emulated=emulated, private=host)


def default_name() -> str:
    """Return the host that is used when none is named."""
    return "qemu:///system" if any(path.is_socket() for path in _SYSTEM_SOCKETS) else PRIVATE


def load_settings(home: Home, name: str) -> Host:
    """Return the settings of a host: its file `hosts/NAME.yaml` in the state folder, or the defaults.

    Raises:
        InputError: the file is not valid.
    """
    if "://" in name:
        return host_files.of_uri(name)
    file = home.hosts / f"{name}.yaml"
    return host_files.load(file) if file.exists() else Host()


def _door(home: Home, name: str, settings: Host, *, start: bool) -> tuple[str, Dialer, PrivateHost | None]:
    """Return the URI of a host, how its guests are dialled, and the private host, which is started when it is down."""
    if settings.uri:
        return dial.unattended(settings.uri), dial.for_uri(settings.uri, how=settings.dial), None
    host = private.up(name, home.hosts) if start else private.status(name, home.hosts).host
    if host is None:
        raise HypervisorError(f"private host {name} is down", remedy=f"labctl host up {name}")
    return host.uri, dial.Namespace(host.namespace), host


def _virt(obstacle: str, name: str, wanted: str | None) -> Literal["kvm", "qemu"]:
    """Choose between KVM and emulation for new labs: KVM only where it is known to work."""
    if wanted == "kvm" and obstacle:
        raise InputError(
            f"host {name} has no KVM that works",
            details=f"Its guests would be emulated: {obstacle}.",
            remedy="Leave --virt out: guests are emulated then, which is slower. labctl doctor on that host says more.",
        )
    return "qemu" if obstacle or wanted == "qemu" else "kvm"


def _ready_pool(hypervisor: Hypervisor, settings: Pool) -> PoolFacts:
    found = hypervisor.pools().get(settings.name)
    if found is None:
        hypervisor.create_pool(xml.pool_xml(settings.name, str(settings.path)))
    elif not found.active:
        hypervisor.start_pool(settings.name)
    else:
        return found
    return hypervisor.pools()[settings.name]
