"""Network cards, at run time: a restart of the network or of the node brings their configuration back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar

from labctl import quoting
from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State
from labctl.errors import InputError, RemoteError


class Cards:
    """Cards by their names: up or down, MTU, IPv4 addresses, routes."""

    name = "card"

    def look(self, context: Context, target: str) -> State:
        """Return how a card is.

        Raises:
            RemoteError: there is no such card.
        """
        word = quoting.shell(target)
        said = context.ask(f"ip -j -4 addr show dev {word}; ip -j link show dev {word}; ip -j -4 route show dev {word}")
        documents = _documents(said.stdout)
        if not said.ok or len(documents) != 3:
            raise RemoteError(f"{context.guest.name}: card {target} cannot be looked at", details=said.tail())
        addresses, (link,), routes = documents
        return {
            "up": "UP" in link["flags"],
            "mtu": link["mtu"],
            "addresses": [
                f"{each['local']}/{each['prefixlen']}" for card in addresses for each in card.get("addr_info", ())
            ],
            "routes": sorted(_route(each) for each in routes if each.get("protocol") != "kernel"),
        }

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Set what differs."""
        word = quoting.shell(target)
        lines = []
        if now["mtu"] != wanted["mtu"]:
            lines.append(f"ip link set dev {word} mtu {wanted['mtu']}")
        for address in now["addresses"]:
            if address not in wanted["addresses"]:
                lines.append(f"ip addr del {quoting.shell(address)} dev {word}")
        for address in wanted["addresses"]:
            if address not in now["addresses"]:
                lines.append(f"ip addr add {quoting.shell(address)} brd + dev {word}")
        if now["up"] != wanted["up"]:
            lines.append(f"ip link set dev {word} {'up' if wanted['up'] else 'down'}")
        if wanted["up"]:
            # The kernel drops routes with a card that goes down.
            kept = now["routes"] if now["up"] else []
            lines += [f"ip route del {each} dev {word}" for each in kept if each not in wanted["routes"]]
            lines += [f"ip route add {each} dev {word}" for each in wanted["routes"] if each not in kept]
        context.run(f"set -e; {'; '.join(lines) or ':'}", timeout=60)

    def same(self, one: State, other: State) -> bool:
        """Whether they are alike; from a card that is down, systemd-networkd soon takes addresses and routes."""
        return _essence(one) == _essence(other)

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return "\n".join(
            f"{target}: {key}: {now[key]} -> {wanted[key]}" for key in wanted if now.get(key) != wanted[key]
        )


CARDS: Kind = Cards()


@dataclass(frozen=True, kw_only=True)
class Card(Change):
    """Changes a card at run time; what is None stays.

    Attributes:
        card: its name; never that of the management card.
        address: what its one address is replaced by, with its prefix.
        extra: an address that is added, with its prefix.
        route: a route that is added, as `ip route` writes it without the card.
    """

    kind: ClassVar[Kind] = CARDS
    card: str
    up: bool | None = None
    mtu: int | None = None
    address: str | None = None
    extra: str | None = None
    route: str | None = None

    @property
    def target(self) -> str:
        """The card."""
        return self.card

    def judge(self, now: State) -> State:
        """Return the card as it is to be.

        Raises:
            InputError: an address is to be replaced, and it has not exactly one.
        """
        if self.address is not None and len(now["addresses"]) != 1:
            raise InputError(f"{self.card} does not have exactly one address")
        return {
            "up": now["up"] if self.up is None else self.up,
            "mtu": self.mtu or now["mtu"],
            "addresses": [
                *([self.address] if self.address else now["addresses"]),
                *([self.extra] if self.extra else []),
            ],
            "routes": sorted({*now["routes"], self.route}) if self.route else now["routes"],
        }

    def describe(self) -> str:
        """Say what."""
        words = {"up": self.up, "mtu": self.mtu, "address": self.address, "extra": self.extra, "route": self.route}
        return f"change card {self.card}: " + ", ".join(f"{key} {value}" for key, value in words.items() if value)


def _essence(state: State) -> tuple[Any, ...]:
    up = state["up"]
    return (up, state["mtu"], *(sorted(state[key]) if up else [] for key in ("addresses", "routes")))


def _route(route: dict[str, Any]) -> str:
    """Write a route as `ip route add` reads it."""
    kind = route.get("type", "unicast")
    words = [kind] if kind != "unicast" else []
    words.append(route["dst"])
    for key, word in (("gateway", "via"), ("metric", "metric")):
        if key in route:
            words += [word, str(route[key])]
    return quoting.shell_line(words)


def _documents(text: str) -> list[Any]:
    """Read several JSON documents, one after the other."""
    decoder, found, place = json.JSONDecoder(), [], 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        try:
            document, place = decoder.raw_decode(text, place)
        except ValueError:
            return []
        found.append(document)
    return found
