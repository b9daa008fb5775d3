"""Says in sentences how one topology differs from another."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_WORDS = {"disk": "system disk", "kind": "kind", "names": "names in /etc/hosts", "vcpus": "virtual processors"}
_SILENT = ("description",)


def differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return how the new topology differs, a sentence each, in the topology's order; nothing when they are alike.

    Args:
        old: what the lab was made from, as `Topology.document` gives it.
        new: what is asked for now, likewise.
    """
    return [*_top(old, new), *_networks(old["networks"], new["networks"]), *_nodes(old["nodes"], new["nodes"])]


def _top(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for key in ("name", "domain"):
        if old[key] != new[key]:
            yield f"{key}: {old[key]} → {new[key]}"
    before, after = old.get("password"), new.get("password")
    if before != after:
        yield "password: " + ("changed" if before and after else "added" if after else "removed")


def _networks(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    yield from _membership("network", old, new)
    for name in new:
        if name in old:
            yield from _fields(f"network {name}", old[name], new[name], skip=())


def _nodes(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    yield from _membership("node", old, new)
    common = [name for name in old if name in new]
    if common != [name for name in new if name in old]:
        yield "the order of the nodes changed, and with it their management addresses"
    for name in new:
        if name in old:
            yield from _fields(name, old[name], new[name], skip=("nics", "disks"))
            yield from _list(name, "disk vd", "bcdefghijklm", old[name]["disks"], new[name]["disks"])
            yield from _list(name, "eth", "0123456789", old[name]["nics"], new[name]["nics"])


def _membership(what: str, old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    for name in new:
        if name not in old:
            yield f"{what} {name} added"
    for name in old:
        if name not in new:
            yield f"{what} {name} removed"


def _fields(what: str, old: dict[str, Any], new: dict[str, Any], *, skip: tuple[str, ...]) -> Iterator[str]:
    for key in dict.fromkeys([*new, *old]):
        before, after = old.get(key), new.get(key)
        if before == after or key in _SILENT or key in skip:
            continue
        yield f"{what}: {_WORDS.get(key, key)} {_shown(before)} → {_shown(after)}"


def _list(node: str, stem: str, suffixes: str, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Iterator[str]:
    for position, suffix in enumerate(suffixes):
        before = old[position] if position < len(old) else None
        after = new[position] if position < len(new) else None
        if before is None and after is not None:
            yield f"{node}: {stem}{suffix} added"
        elif before is not None and after is None:
            yield f"{node}: {stem}{suffix} removed"
        elif before is not None and after is not None:
            yield from _fields(f"{node}: {stem}{suffix}", before, after, skip=())


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)
