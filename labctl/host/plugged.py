"""Plugs this machine into a lab's networks: a network namespace of our own with a card in each of the lab's bridges."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import os
import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labctl.errors import InputError, ProcessError, RefusedError
from labctl.host import kernel
from labctl.host.namespace import NetworkNamespace, wrap
from labctl.process import run

_DEVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}", re.ASCII)
_SECONDS = 20.0  # for the kernel to make cards, while a machine is busy


@dataclass(frozen=True, kw_only=True)
class Plug:
    """One network card.

    Attributes:
        name: the card's name: the network's in the topology (internal, public, mgmt).
        bridge: the network's bridge.
        address: the card's own address there; one that no node has.
        prefix: length of the subnet's mask.
        mtu: bytes.
    """

    name: str
    bridge: str
    address: str
    prefix: int
    mtu: int = 1500


class Plugged:
    """A network namespace with cards in bridges; what is in it is a neighbour of the lab's nodes, and of nothing else.

    Its cards are gone when it is closed. Where this process was killed, the kernel takes them out a moment later:
    whoever is plugged in with such an address takes them out first, so that no two cards have one address.

    Args:
        base: network namespace of the bridges; None for the machine's own.
        plugs: its network cards.

    Raises:
        InputError: a plug's value cannot be right.
        RefusedError: we are not root.
        ProcessError: a bridge is missing, or the namespace could not be made.
    """

    def __init__(self, base: NetworkNamespace | None, plugs: Sequence[Plug]) -> None:
        if os.geteuid() != 0:
            raise RefusedError("Entering a lab makes network cards, which needs root", remedy="Run labctl with sudo.")
        for plug in plugs:
            _validate(plug)
        self._descriptor, self._base = _new_namespace(), base
        self._cards = {_card(plug): plug for plug in plugs}
        try:
            inside, outside = _batches(self._cards, self._path)
            self._unplug()
            run(wrap(base, ["ip", "-batch", "-"]), timeout=_SECONDS, stdin=outside.encode())
            run(self.wrap(["ip", "-batch", "-"]), timeout=_SECONDS, stdin=inside.encode())
        except BaseException:
            self.close()
            raise

    @property
    def stands(self) -> bool:
        """Whether its cards are in their bridges yet; a network that was made anew has a bridge of its own."""
        said = json.loads(run(wrap(self._base, ["ip", "-json", "link", "show", "type", "veth"]), timeout=_SECONDS))
        masters = {link.get("ifname"): link.get("master") for link in said}
        return all(masters.get(card) == plug.bridge for card, plug in self._cards.items())

    def open(self) -> int:
        """Return another descriptor on the namespace."""
        return os.dup(self._descriptor)

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """Return the command line that runs `argv` inside the namespace, for as long as it is open."""
        return ["nsenter", f"--net={self._path}", "--", *argv]

    def close(self) -> None:
        """Take its cards out and close it, whoever still has sockets in it; safe more than once."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
            self._unplug()

    def _unplug(self) -> None:
        """Take out the cards that have our names, if there are any: their bridges, or the whole host, may be gone."""
        lines = "".join(f"link delete {card}\n" for card in self._cards)
        with contextlib.suppress(ProcessError):
            run(wrap(self._base, ["ip", "-force", "-batch", "-"]), timeout=_SECONDS, stdin=lines.encode())

    @property
    def _path(self) -> str:
        return f"/proc/{os.getpid()}/fd/{self._descriptor}"


def _card(plug: Plug) -> str:
    """Return the name of a plug's card beside its bridge: one address of a bridge has one card."""
    return f"lbe{hashlib.sha256(f'{plug.bridge} {plug.address}'.encode()).hexdigest()[:10]}"


def _new_namespace() -> int:
    """Make the namespace in a thread of its own, which ends afterwards: none with a foreign namespace stays about."""
    made: list[int] = []
    failed: list[OSError] = []

    def make() -> None:
        try:
            kernel.unshare(kernel.NEW_NET)
            made.append(os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC))
        except OSError as exc:
            failed.append(exc)

    thread = threading.Thread(target=make, name="labctl-unshare")
    thread.start()
    thread.join()
    if failed:
        raise ProcessError(
            "A network namespace could not be made", details=str(failed[0]), remedy="labctl doctor"
        ) from failed[0]
    return made[0]


def _batches(cards: Mapping[str, Plug], namespace: str) -> tuple[str, str]:
    """Return the lines for `ip -batch` inside the namespace and beside the bridges.

    Args:
        cards: by the name that each has beside its bridge.
    """
    inside, outside = ["link set lo up"], []
    for ours, plug in cards.items():
        card = f"{plug.name} mtu {plug.mtu} address 06:{secrets.token_bytes(5).hex(':')} netns {namespace}"
        outside += [
            f"link add {ours} mtu {plug.mtu} type veth peer name {card}",
            f"link set {ours} master {plug.bridge} up",
        ]
        inside += [
            f"link set {plug.name} addrgenmode none",  # no IPv6 address, so nothing that the nodes would hear of
            f"address add {plug.address}/{plug.prefix} dev {plug.name}",
            f"link set {plug.name} up",
        ]
    return "\n".join(inside) + "\n", "\n".join(outside) + "\n"


def _validate(plug: Plug) -> None:
    """Refuse what would be read as something else on a line of `ip -batch`."""
    for device in (plug.name, plug.bridge):
        if not _DEVICE.fullmatch(device):
            raise InputError(f"{device!r} is no name of a network device", remedy="Use up to 15 letters and digits.")
    try:
        ipaddress.ip_interface(f"{plug.address}/{plug.prefix}")
    except ValueError as exc:
        raise InputError(f"{plug.address}/{plug.prefix} is no address", details=str(exc)) from exc
