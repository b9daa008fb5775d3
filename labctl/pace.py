"""What differs between nodes under KVM and emulated ones, which share few cores: in one table."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How long nodes take; times in seconds.

    Attributes:
        boot: from power-on to the end of cloud-init.
        login: to a node that runs.
        agent: for a guest agent to run a short command.
        identity: for a restored guest to become another lab's.
        reports: for the cloud's database to change a few rows.
        shutdown: for a guest to power off, before the plug is pulled.
        clean: for a cloud to forget what a reset took away.
        repair: for the reference repair of a fault.
        rest: for a lab to come to rest before it is captured.
        idle: what a node at rest takes of a processor, of 1.
        install: how many times longer than natively a step of the installer may take.
        sabotage: the same, for a change of a fault.
        request: for an answer of a cloud's API; the first one of an emulated fork took a hundred seconds.
        instance: for a login to a server in a cloud.
        settles: for a service that was restarted to answer as it will from then on.
        silent: until a cloud takes a service that says nothing for dead.
        removal: for something in a cloud to be gone after it was deleted.
    """

    boot: float
    login: float
    agent: float
    identity: float
    reports: float
    shutdown: float
    clean: float
    repair: float
    rest: float
    idle: float
    install: float
    sabotage: float
    request: float
    instance: float
    settles: float
    silent: float
    removal: float


_PACES = {
    "kvm": Pace(
        boot=300.0,
        login=15.0,
        agent=60.0,
        identity=30.0,
        reports=10.0,
        shutdown=60.0,
        clean=300.0,
        repair=60.0,
        rest=120.0,
        idle=0.1,
        install=2.0,
        sabotage=1.0,
        request=30.0,
        instance=30.0,
        settles=20.0,
        silent=90.0,
        removal=120.0,
    ),
    "qemu": Pace(
        boot=1800.0,
        login=60.0,
        agent=300.0,
        identity=120.0,
        reports=60.0,
        shutdown=180.0,
        clean=1800.0,
        repair=300.0,
        rest=900.0,
        idle=0.5,
        install=15.0,
        sabotage=6.0,
        request=240.0,
        instance=180.0,
        settles=120.0,
        silent=480.0,
        removal=600.0,
    ),
}


def pace(virt: str) -> Pace:
    """Return the pace of nodes by the kind of their virtualisation, kvm or qemu."""
    return _PACES[virt]
