"""Turns the saved XML document of one lab's domain into that of another lab's node, for the same memory.

The memory belongs to the devices as they were: their kinds, addresses and MACs stay. What names the lab (names, UUID,
metadata, disks, cards) and QEMU's translation cache come from the node's own document, and what libvirt itself chose
for the time the domain ran (device paths, sockets, ports, labels) is left to it again. A set may come in a bundle from
anywhere: a document that asks the hypervisor for more than our nodes have is refused.
"""

from __future__ import annotations

import copy
import xml.etree.ElementTree as ET

from labctl.errors import HypervisorError

_NAMING = ("name", "uuid", "genid", "title", "description", "metadata", "sysinfo")
_CACHE = "features/tcg/tb-cache"
_CHOSEN = ("seclabel", "backingStore", "mirror", "resource", "emulator")
_LIBVIRTS = frozenset(("audio", "controller", "input", "watchdog"))
"""Devices that libvirt adds by itself; all others are of kinds that the node's own document has."""


def document(saved: str, own: str) -> str:
    """Return the document under which saved memory becomes a node's.

    Args:
        saved: the domain's document from the memory image.
        own: the node's own document, as `xml.domain_xml` writes it.

    Raises:
        HypervisorError: the two have not the same disks and cards, or the saved one asks for what no node of ours has.
    """
    try:
        root, node = ET.fromstring(saved), ET.fromstring(own)  # noqa: S314 - expat of today bounds what it expands
    except ET.ParseError as exc:
        raise _refused(f"its document cannot be read: {exc}") from exc
    root.attrib.pop("id", None)
    for place, name in enumerate(_NAMING):
        for old in root.findall(name):
            root.remove(old)
        for new in reversed(node.findall(name)):
            root.insert(place if name in ("name", "uuid") else len(root), new)
    _take_own(root, node, "disk", ("target", "dev"))
    _take_own(root, node, "interface", ("mac", "address"))
    _leave_to_libvirt(root)
    devices = root.find("devices")
    if devices is not None and (emulator := node.find("devices/emulator")) is not None:
        devices.insert(0, emulator)
    if (saved_cache := root.find(_CACHE)) is not None and (cache := node.find(_CACHE)) is not None:
        saved_cache.attrib, saved_cache.text = cache.attrib, cache.text
    _check(root, node)
    return ET.tostring(root, encoding="unicode")


def _leave_to_libvirt(root: ET.Element) -> None:
    for parent in list(root.iter()):
        for child in [child for child in parent if child.tag in _CHOSEN]:
            parent.remove(child)
    for kind in ("serial", "console", "channel"):
        for device in root.findall(f"devices/{kind}"):
            for source in device.findall("source"):
                device.remove(source)
            device.attrib.pop("tty", None)
    for graphics in root.findall("devices/graphics"):
        graphics.set("port", "-1")


def _take_own(root: ET.Element, node: ET.Element, kind: str, key: tuple[str, str]) -> None:
    """Put the node's own devices of a kind in the places of those that were saved, at their addresses."""
    own = {_key(device, key): device for device in node.findall(f"devices/{kind}")}
    saved = {_key(device, key): device for device in root.findall(f"devices/{kind}")}
    if own.keys() != saved.keys():
        raise _refused(f"It has {kind}s {', '.join(sorted(saved))}; the node has {', '.join(sorted(own))}.")
    devices = root.find("devices")
    assert devices is not None
    for name, device in saved.items():
        new = copy.deepcopy(own[name])
        new.extend(child for child in device if child.tag in ("alias", "address"))
        devices[list(devices).index(device)] = new


def _check(root: ET.Element, node: ET.Element) -> None:
    """Refuse a document that is more than one of our nodes would be."""
    own = {_kind(device) for device in node.findall("devices/*")}
    strange = [_kind(device) for device in root.findall("devices/*") if device.tag not in _LIBVIRTS]
    strange = [kind for kind in strange if kind not in own]
    if strange:
        raise _refused("It has devices that no node has: " + ", ".join(" ".join(kind).strip() for kind in strange))
    foreign = sorted(_paths(root) - _paths(node))
    if foreign:
        raise _refused(f"It names what no node names: {', '.join(foreign)}")


def _kind(device: ET.Element) -> tuple[str, str]:
    return device.tag, device.get("type", "")


def _paths(root: ET.Element) -> set[str]:
    """Return all that may be a file's name, or belong to a program that is not libvirt, in a document."""
    values = {value.strip() for each in root.iter() for value in (each.text or "", *each.attrib.values())}
    return {value for value in values if "/" in value} | {each.tag for each in root.iter() if each.tag.startswith("{")}


def _refused(details: str) -> HypervisorError:
    return HypervisorError(
        "this memory image belongs to another machine",
        details=details,
        remedy="The node can be booted from the set's disks all the same: --cold.",
    )


def _key(device: ET.Element, key: tuple[str, str]) -> str:
    element = device.find(key[0])
    return (element.get(key[1]) if element is not None else None) or ""
