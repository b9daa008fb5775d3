"""Reads the documents that a fake hypervisor is given, and refuses those that libvirt would refuse."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from uuid import UUID, uuid4

import libvirt

from labctl.hypervisor.fake_host import FakeHost
from labctl.hypervisor.fake_objects import Refusal


def domain(root: ET.Element, host: FakeHost) -> tuple[str, UUID]:
    """Refuse a domain's document that libvirt would; return its name and UUID."""
    name, uuid = identified(root)
    kind = root.get("type", "")
    if kind != "qemu" and not (kind == "kvm" and host.kvm):
        message = f"invalid argument: could not find capabilities for domaintype={kind}"
        raise Refusal(libvirt.VIR_ERR_INVALID_ARG, message)
    if root.findtext("os/type") != "hvm":
        raise Refusal(libvirt.VIR_ERR_XML_ERROR, "XML error: an os <type> must be specified")
    memory = root.find("memory")
    scale = {"KiB": 1, "MiB": 1024, "GiB": 1024**2}
    if memory is None or not (memory.text or "").isdigit() or memory.get("unit", "KiB") not in scale:
        raise Refusal(libvirt.VIR_ERR_XML_ERROR, "XML error: missing or unreadable memory")
    memory.text = str(int(memory.text or 0) * scale[memory.get("unit", "KiB")])
    memory.set("unit", "KiB")
    devices = [target.get("dev") for target in root.findall("devices/disk/target")]
    twice = [device for device in devices if devices.count(device) > 1]
    if twice:
        message = f"XML error: target '{twice[0]}' duplicated for disk sources"
        raise Refusal(libvirt.VIR_ERR_XML_ERROR, message)
    check_clash("domain", name, uuid, {each.name: key for key, each in host.domains.items()})
    return name, uuid


def parsed(document: str, tag: str) -> ET.Element:
    """Read the document of an object of that kind, which has a name."""
    try:
        root = ET.fromstring(document)  # noqa: S314 - written by tests
    except ET.ParseError as exc:
        raise Refusal(libvirt.VIR_ERR_XML_ERROR, f"(document):1: {exc}") from exc
    if root.tag != tag or not root.findtext("name"):
        message = f"XML error: a {root.tag} without a name is no {tag}"
        raise Refusal(libvirt.VIR_ERR_XML_ERROR, message)
    return root


def identified(root: ET.Element) -> tuple[str, UUID]:
    """Return the name and the UUID of an object; one that has no UUID gets one, as from libvirt."""
    if root.find("uuid") is None:
        ET.SubElement(root, "uuid").text = str(uuid4())
    try:
        return root.findtext("name", ""), UUID(root.findtext("uuid", ""))
    except ValueError as exc:
        raise Refusal(libvirt.VIR_ERR_XML_ERROR, "XML error: malformed uuid element") from exc


def check_clash(kind: str, name: str, uuid: UUID, known: dict[str, UUID]) -> None:
    """Refuse a name that another UUID has, and a UUID that has another name (virDomainObjListAddLocked in libvirt)."""
    for other, its in known.items():
        if its == uuid and other != name:
            message = f"operation failed: {kind} '{other}' is already defined with uuid {its}"
            raise Refusal(libvirt.VIR_ERR_OPERATION_FAILED, message)
        if its != uuid and other == name:
            message = f"operation failed: {kind} '{name}' already exists with uuid {its}"
            raise Refusal(libvirt.VIR_ERR_OPERATION_FAILED, message)


def text(root: ET.Element) -> str:
    """Write a document."""
    return ET.tostring(root, encoding="unicode")
