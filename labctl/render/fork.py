"""Turns the saved XML document of one lab's domain into that of another lab's node, for the same memory.

The memory belongs to the devices at their addresses, to the processor and to the machine's type: these come from the
document that was saved. All else comes from the node's own document. A set may come in a bundle from anywhere: whatever
the saved document has besides, be it a device, more memory or an argument for QEMU, is refused, and nothing of it gets
to the hypervisor.
"""

from __future__ import annotations

import copy
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping

from labctl.errors import HypervisorError

_RUNNING = frozenset(("currentMemory", "resource", "seclabel"))
"""What libvirt notes about a domain while it runs; it is left to it again."""

_KEYS = {
    "disk": ("target", "dev"),
    "interface": ("mac", "address"),
    "channel": ("target", "name"),
    "serial": ("target", "port"),
    "console": ("target", "port"),
}
"""What tells devices of a kind apart: an attribute of a child. Of other kinds a node has one each."""

_ADDED = {
    "controller": {"type": "pci|virtio-serial", "index": "[0-9]+", "model": "pci-root"},
    "input": {"type": "mouse|keyboard", "bus": "ps2"},
    "audio": {"id": "1", "type": "none"},
}
"""Devices that libvirt adds by itself, and the attributes that they have then."""

_ADDRESS = {
    "type": "pci|drive|virtio-serial|isa",
    **dict.fromkeys(("domain", "bus", "slot", "function"), "0x[0-9a-f]+|[0-9]+"),
    **dict.fromkeys(("controller", "target", "unit", "port"), "[0-9]+"),
    "multifunction": "on|off",
}
_CPU = dict.fromkeys(("mode", "match", "check", "migratable"), "[a-z-]+")
_CPU_PARTS: dict[str, Mapping[str, str]] = {
    "model": {"fallback": "allow|forbid"},
    "vendor": {},
    "feature": {"policy": "[a-z]+", "name": "[A-Za-z0-9._-]+"},
    "maxphysaddr": {"mode": "[a-z]+", "bits": "[0-9]+"},
}
_WORD = r"[A-Za-z0-9._-]*"
_MACHINES = {"pc": r"pc|pc-i440fx-[a-z0-9.-]+", "q35": r"q35|pc-q35-[a-z0-9.-]+"}


def document(saved: str, own: str) -> str:
    """Return the document under which saved memory becomes a node's.

    Args:
        saved: the domain's document from the memory image.
        own: the node's own document, as `xml.domain_xml` writes it.

    Raises:
        HypervisorError: the saved document describes another machine than the node's own, or more than that.
    """
    root, node = _parsed(saved), ET.fromstring(own)  # noqa: S314 - our own words
    strange = sorted({child.tag for child in root} - {child.tag for child in node} - _RUNNING)
    if strange:
        raise _refused(f"It contains what no node has: {', '.join(strange)}")
    for name, size in (("memory", _kib), ("currentMemory", _kib), ("vcpu", _count)):
        ours = size(node, "memory" if name == "currentMemory" else name)
        theirs = size(root, name) if root.find(name) is not None else ours
        if theirs != ours:
            raise _refused(f"Its {name} is {theirs}; the node's is {ours}.")
    _take_machine(root, node)
    _take_processor(root, node)
    _take_addresses(root, node)
    return ET.tostring(node, encoding="unicode")


def cookie(saved: str) -> str:
    """Return what libvirt noted beside a saved document, a description of the processor, when it is that alone.

    Raises:
        HypervisorError: it is more.
    """
    if saved:
        root = _parsed(saved)
        if root.tag != "cookie":
            raise _refused(f"libvirt's cookie is a {root.tag}.")
        _check("cookie", root, {}, children=("cpu", "slirpHelper"))
        for child in root:
            if child.tag == "cpu":
                _check_processor(child)
            else:
                _check(child.tag, child, {})
    return saved


def _take_machine(root: ET.Element, node: ET.Element) -> None:
    """Take the machine's type, in its version: QEMU refuses memory of another."""
    _check_children("os", root, node)
    _check_children("features", root, node, more=("tcg",))
    saved, own = root.find("os/type"), node.find("os/type")
    machine, ours = ("" if each is None else each.get("machine", "") for each in (saved, own))
    if own is None or not re.fullmatch(_MACHINES.get(ours, re.escape(ours)), machine):
        raise _refused(f"It is a machine of type {machine or 'none'}; the node is one of type {ours}.")
    own.set("machine", machine)


def _take_processor(root: ET.Element, node: ET.Element) -> None:
    saved, own = root.find("cpu"), node.find("cpu")
    if saved is None or own is None:
        raise _refused("It does not say what its processor is.")
    _check_processor(saved)
    node[list(node).index(own)] = saved


def _check_processor(cpu: ET.Element) -> None:
    _check("cpu", cpu, _CPU, children=_CPU_PARTS)
    for part in cpu:
        _check(f"cpu/{part.tag}", part, _CPU_PARTS[part.tag])
        if not re.fullmatch(_WORD, (part.text or "").strip()):
            raise _refused(f"Its processor is {part.text!r}.")


def _take_addresses(root: ET.Element, node: ET.Element) -> None:
    """Put the node's own devices at the addresses of those that were saved, with those that libvirt had added."""
    devices = node.find("devices")
    own = {_key(device): device for device in node.findall("devices/*")}
    placed: dict[tuple[str, str], ET.Element] = {}
    for device in root.findall("devices/*"):
        key = _key(device)
        if device.tag == "emulator":
            continue
        if key in placed or (key not in own and device.tag not in _ADDED):
            raise _refused(f"It has a device that the node lacks: {' '.join(key).strip()}")
        placed[key] = copy.deepcopy(own[key]) if key in own else _added(device)
        for address in device.findall("address"):
            _check(f"{device.tag}/address", address, _ADDRESS)
            placed[key].append(address)
    lacking = sorted(" ".join(key).strip() for key in own.keys() - placed.keys() if key[0] != "emulator")
    if lacking or devices is None:
        raise _refused(f"It lacks what the node has: {', '.join(lacking)}")
    devices[:] = [*(each for each in devices if each.tag == "emulator"), *placed.values()]


def _added(device: ET.Element) -> ET.Element:
    _check(device.tag, device, _ADDED[device.tag], children=("address", "alias"))
    return ET.Element(device.tag, device.attrib)


def _key(device: ET.Element) -> tuple[str, str]:
    """Return what tells a device from others of the same machine."""
    if device.tag == "controller":
        return device.tag, f"{device.get('type', '')} {device.get('index', '')}"
    if device.tag == "input":
        return device.tag, device.get("type", "")
    child, attribute = _KEYS.get(device.tag, ("", ""))
    element = device.find(child) if child else None
    return device.tag, (element.get(attribute) if element is not None else None) or ""


def _check_children(name: str, root: ET.Element, node: ET.Element, *, more: Iterable[str] = ()) -> None:
    saved, own = ({child.tag for child in each.findall(f"{name}/*")} - {*more} for each in (root, node))
    if different := sorted(saved ^ own):
        raise _refused(f"Its {name} and the node's differ: {', '.join(different)}")


def _check(name: str, element: ET.Element, attributes: Mapping[str, str], *, children: Iterable[str] = ()) -> None:
    """Refuse an element with other attributes than these, whose values are as these patterns say, or other children."""
    strange = [f"{key}={value}" for key, value in element.attrib.items() if not _fits(attributes.get(key), value)]
    strange += [child.tag for child in element if child.tag not in children]
    if strange:
        raise _refused(f"Its {name} has what no node's has: {', '.join(strange)}")


def _fits(pattern: str | None, value: str) -> bool:
    return pattern is not None and re.fullmatch(pattern, value) is not None


def _kib(root: ET.Element, name: str) -> str:
    element = root.find(name)
    text, unit = ("", "") if element is None else ((element.text or "").strip(), element.get("unit", "KiB"))
    factor = {"KiB": 1, "MiB": 1024, "GiB": 1024**2}.get(unit, 0)
    return f"{int(text) * factor} KiB" if re.fullmatch("[0-9]{1,12}", text) and factor else f"{text} {unit}"


def _count(root: ET.Element, name: str) -> str:
    element = root.find(name)
    return "" if element is None else (element.get("current") or element.text or "").strip()


def _parsed(text: str) -> ET.Element:
    try:
        return ET.fromstring(text)  # noqa: S314 - expat of today bounds what it expands
    except ET.ParseError as exc:
        raise _refused(f"its document cannot be read: {exc}") from exc


def _refused(details: str) -> HypervisorError:
    return HypervisorError(
        "this memory image belongs to another machine",
        details=details,
        remedy="--cold boots the node from the set's disks instead.",
    )
