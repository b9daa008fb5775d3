"""Turns the saved XML document of one lab's domain into that of another lab's node, for the same memory.

The memory belongs to the devices as they were: their addresses, models and MACs stay. What names the lab (names, UUID,
metadata, volumes, networks) comes from the node's own document, and what libvirt itself chose for the time the domain
ran (device paths, sockets, ports, labels) is left to it again.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET

from labctl.errors import HypervisorError

_NAMING = ("name", "uuid", "genid", "title", "description", "metadata", "sysinfo")
_CHOSEN = ("seclabel", "backingStore", "mirror")


def document(saved: str, own: str) -> str:
    """Return the document under which saved memory becomes a node's.

    Args:
        saved: the domain's document from the memory image.
        own: the node's own document, as `xml.domain_xml` writes it.

    Raises:
        HypervisorError: the two have not the same disks and cards.
    """
    root, node = ET.fromstring(saved), ET.fromstring(own)  # noqa: S314 - libvirt's words and our own
    root.attrib.pop("id", None)
    for place, name in enumerate(_NAMING):
        for old in root.findall(name):
            root.remove(old)
        for new in reversed(node.findall(name)):
            root.insert(place if name in ("name", "uuid") else len(root), new)
    _replace_sources(root, node, "disk", ("target", "dev"))
    _replace_sources(root, node, "interface", ("mac", "address"))
    _leave_to_libvirt(root)
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
    for target in root.findall("devices/interface/target"):
        target.attrib.pop("dev", None)
    for graphics in root.findall("devices/graphics"):
        graphics.set("port", "-1")


def _replace_sources(root: ET.Element, node: ET.Element, kind: str, key: tuple[str, str]) -> None:
    """Give each device of a kind the source that the node's device of the same key has."""
    own = {_key(device, key): device.find("source") for device in node.findall(f"devices/{kind}")}
    saved = {_key(device, key): device for device in root.findall(f"devices/{kind}")}
    if own.keys() != saved.keys():
        raise HypervisorError(
            "this memory image belongs to another machine",
            details=f"It has {kind}s {', '.join(sorted(saved))}; the node has {', '.join(sorted(own))}.",
            remedy="The node can be booted from the set's disks all the same: --cold.",
        )
    for name, device in saved.items():
        source = own[name]
        old = device.find("source")
        if old is not None:
            device.remove(old)
        if source is not None:
            device.insert(0, source)


def _key(device: ET.Element, key: tuple[str, str]) -> str:
    element = device.find(key[0])
    return (element.get(key[1]) if element is not None else None) or ""
