"""B10: cards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from labctl.checks.check import Subject, check
from labctl.checks.model import Step, judged
from labctl.plan.model import NicPlan, NodePlan


def question(subject: Subject, node: NodePlan) -> str:  # noqa: ARG001
    """List cards with their addresses, and routes."""
    return "ip -j addr; echo; ip -j -4 route"


@check(
    "B10",
    "Cards are as planned",
    exercises="cards: state, MTU, addresses, routes; those that must be unconfigured",
    needs=("B01",),
    asks=question,
    stages=("bare",),
    limit=(10, 60),
)
def cards(subject: Subject) -> Iterator[Step]:
    """Compare every node's cards with the plan: up, MTU 1500, the plan's address and no other. Cards that the
    tutorial configures must have no address. There must be no other routes than the plan's."""
    for node, answer in subject.said("B10"):
        decoder = json.JSONDecoder()
        listed, end = decoder.raw_decode(answer.text)
        routes, _ = decoder.raw_decode(answer.text[end:].lstrip())
        found = {card["ifname"]: card for card in listed}
        wrong = [trouble for nic in node.nics for trouble in _card(nic, found.get(nic.name))]
        yield judged("; ".join(wrong[:4]), name="compare", node=node.name, suspect="cards", seconds=answer.seconds)
        mgmt = {nic.name for nic in node.nics if nic.dhcp}
        odd = [_said(route) for route in routes if route.get("dev") not in mgmt and route.get("protocol") != "kernel"]
        trouble = f"unplanned: {'; '.join(odd[:3])}" if odd else ""
        yield judged(trouble, name="routes", node=node.name, suspect="routes")


def _card(nic: NicPlan, card: dict[str, Any] | None) -> Iterator[str]:
    """Say what differs from the plan."""
    if card is None:
        yield f"there is no {nic.name}"
        return
    configured = nic.dhcp or nic.address is not None
    if configured and "UP" not in card["flags"]:
        yield f"{nic.name} is down"
    if card["mtu"] != 1500:
        yield f"{nic.name} has MTU {card['mtu']}, not 1500"
    has = [f"{each['local']}/{each['prefixlen']}" for each in card["addr_info"] if each["scope"] != "link"]
    if nic.dhcp:
        if not any(address.startswith(f"{nic.address}/") for address in has):
            yield f"{nic.name} does not have its lease {nic.address}"
    elif nic.address is None:
        if has:
            yield f"{nic.name} has {', '.join(has)} and must be unconfigured"
    elif has != [f"{nic.address}/{nic.prefix}"]:
        yield f"{nic.name} has {', '.join(has) or 'no address'}, not {nic.address}/{nic.prefix}"


def _said(route: dict[str, Any]) -> str:
    words = [route.get("type", ""), route["dst"], f"via {route['gateway']}" if "gateway" in route else ""]
    return " ".join(filter(None, [*words, f"dev {route['dev']}" if "dev" in route else ""]))
