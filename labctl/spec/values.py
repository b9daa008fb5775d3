"""The kinds of values that stand in topology and host files, each with its check, its text form and its schema."""

from __future__ import annotations

import re
from typing import Annotated, Any

from netaddr import AddrFormatError, IPAddress, IPNetwork, IPRange
from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from labctl.sizes import GIB, KIB, MIB, TIB

_LABEL = "[a-z0-9]([a-z0-9-]*[a-z0-9])?"
_SIZE = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?)\s*([A-Za-z]*)")
_UNITS = {"B": 1, "KiB": KIB, "MiB": MIB, "GiB": GIB, "TiB": TIB}
# What people write for it; disk and memory makers' powers of ten are nobody's intention here.
_SPOKEN = {
    spelling.lower(): factor for unit, factor in _UNITS.items() for spelling in (unit, unit[0], unit[:2], unit[0] + "B")
}
_OCTET = "(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(\.{_OCTET}){{3}}"
IMAGE_NAME = re.compile("[a-z0-9][a-z0-9._-]{0,63}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


def label(text: str, *, longest: int, what: str) -> str:
    """Return a name that can be a host name's part (RFC 1123: lower case, digits, hyphens).

    Raises:
        ValueError: it cannot; the message tells what can.
    """
    if re.fullmatch(_LABEL, text) and len(text) <= longest:
        return text
    rule = f"lower-case letters, digits and hyphens, at most {longest} characters, no hyphen at either end"
    better = re.sub("[^a-z0-9]+", "-", text.lower())[:longest].strip("-")
    hint = f'; "{better}" would do' if better else ""
    raise ValueError(f"{shown(text)} is not a {what}: {rule}{hint}")


def size_text(size: int) -> str:
    """Write a number of bytes in the largest unit that keeps it whole."""
    unit = next(name for name, factor in reversed(_UNITS.items()) if size % factor == 0 or factor == 1)
    return f"{size // _UNITS[unit]} {unit}"


def shown(value: object) -> str:
    """Write a user's value for a message, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    text = f'"{value}"' if isinstance(value, str) else str(value)
    text = _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
    return text if len(text) <= 60 else text[:56] + '..."'


def _labelled(longest: int, what: str, description: str) -> Any:
    schema = {"type": "string", "pattern": f"^{_LABEL}$", "maxLength": longest, "description": description}
    return AfterValidator(lambda text: label(text, longest=longest, what=what)), WithJsonSchema(schema)


def _size(least: int, most: int, *, bare: str, factor: int, example: str) -> Any:
    """Build the checks of a size: bounds in bytes, unit of a bare number, bytes for each unit of the result."""

    def parse(value: object) -> int:
        found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
        unit = _SPOKEN.get(found[2].lower()) if found and found[2] else _UNITS[bare] if found else None
        if isinstance(value, int) and not isinstance(value, bool):
            size: float = value * _UNITS[bare]
        elif isinstance(value, float):
            size = value * _UNITS[bare]
        elif found and unit:
            size = float(found[1]) * unit if "." in found[1] else int(found[1]) * unit
        else:
            raise ValueError(f'{shown(value)} is not a size; write for instance "{example}"')
        if not least <= size <= most:
            raise ValueError(f"{shown(value)} is not from {size_text(least)} to {size_text(most)}")
        return int(size) // factor

    pattern = r"^[0-9]+(\.[0-9]+)? ?([KMGT]i?B?|B)?$"
    schema = {"anyOf": [{"type": "string", "pattern": pattern}, {"type": "number"}]}
    return BeforeValidator(parse), PlainSerializer(lambda size: size_text(size * factor)), WithJsonSchema(schema)


def _address(value: object) -> IPAddress:
    if isinstance(value, IPAddress):
        return value
    if isinstance(value, str) and re.fullmatch(_IPV4, value):
        return IPAddress(value)
    hint = "; leave out the prefix length, the network's subnet gives it" if "/" in str(value) else ""
    raise ValueError(f'{shown(value)} is not an IPv4 address like "10.0.0.3"{hint}')


def _network(value: object) -> IPNetwork:
    if isinstance(value, IPNetwork):
        return value
    text = str(value)
    if not isinstance(value, str) or not re.fullmatch(_IPV4 + "/[0-9]{1,2}", text):
        raise ValueError(f'{shown(value)} is not an IPv4 subnet like "10.0.0.0/24"')
    try:
        network = IPNetwork(text)
    except AddrFormatError as exc:
        raise ValueError(f"{shown(value)} has a prefix length that is not from 8 to 30") from exc
    if not 8 <= network.prefixlen <= 30:
        raise ValueError(f"{shown(value)} has a prefix length that is not from 8 to 30")
    if network.ip != network.network:
        raise ValueError(f'{shown(value)} has bits set beyond its prefix; "{network.cidr}" is the subnet it lies in')
    if network.is_multicast() or network.is_loopback() or network.is_link_local() or network.is_reserved():
        raise ValueError(
            f"{shown(value)} is reserved by its standard; take one from 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
        )
    return network


def _address_part(value: object) -> IPNetwork | IPRange:
    """Read a subnet, or a range of addresses with a hyphen between its ends."""
    if isinstance(value, IPRange) or not isinstance(value, str) or "-" not in value:
        return value if isinstance(value, IPRange) else _network(value)
    ends = [end.strip() for end in value.split("-")]
    if len(ends) != 2 or not all(re.fullmatch(_IPV4, end) for end in ends):
        example = '"192.168.182.200-192.168.182.220"'
        raise ValueError(f"{shown(value)} is not a range of IPv4 addresses like {example}")
    first, last = (IPAddress(end) for end in ends)
    if first > last:
        raise ValueError(f"{shown(value)} ends before it begins; write {last}-{first}")
    return IPRange(first, last)


def _line(longest: int) -> Any:
    def check(text: str) -> str:
        if len(text) > longest:
            raise ValueError(f"{shown(text)} is longer than {longest} characters")
        if found := _CONTROL.search(text):
            raise ValueError(f"{shown(text)} holds the character U+{ord(found[0]):04X}; write one line of plain text")
        return text

    return AfterValidator(check)


def _domain(text: str) -> str:
    parts = text.split(".")
    if len(text) <= 100 and all(re.fullmatch(_LABEL, part) and len(part) <= 63 for part in parts):
        return text
    raise ValueError(f'{shown(text)} is not a domain name like "example.org"')


def image_name(text: str) -> str:
    """Return a name that an image can have.

    Raises:
        ValueError: it is none; the message tells what would be.
    """
    if IMAGE_NAME.fullmatch(text):
        return text
    raise ValueError(
        f"{shown(text)} is not an image name: lower-case letters, digits, dots, hyphens and underscores, "
        "at most 64 characters, beginning with a letter or digit"
    )


_str_address = PlainSerializer(str, return_type=str)
_node_checks = _labelled(40, "node name", "A host name without dots.")
_network_checks = _labelled(20, "network name", "A short name in lower case.")
_topology_checks = _labelled(20, "topology name", "A short name in lower case.")

Address = Annotated[
    IPAddress, PlainValidator(_address), _str_address, WithJsonSchema({"type": "string", "format": "ipv4"})
]
Subnet = Annotated[
    IPNetwork,
    PlainValidator(_network),
    _str_address,
    WithJsonSchema({"type": "string", "pattern": r"^[0-9.]+/[0-9]+$", "examples": ["10.0.0.0/24"]}),
]
AddressPart = Annotated[
    IPNetwork | IPRange,
    PlainValidator(_address_part),
    _str_address,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": r"^[0-9.]+(/[0-9]+|-[0-9.]+)$",
            "examples": ["172.16.1.0/24", "192.168.182.200-192.168.182.220"],
        }
    ),
]
"""A subnet, or a range of addresses."""
DiskSize = Annotated[int, *_size(128 * MIB, 2048 * GIB, bare="GiB", factor=1, example="20 GiB")]
"""Bytes; a bare number in a file is GiB."""
Memory = Annotated[int, *_size(64 * MIB, 1024 * GIB, bare="MiB", factor=MIB, example="2 GiB")]
"""MiB; a bare number in a file is MiB."""
Count = Annotated[int, Field(strict=True)]
"""A whole number, and no truth value or text that could be one."""
DomainName = Annotated[str, AfterValidator(_domain), Field(max_length=100)]
ImageName = Annotated[str, AfterValidator(image_name)]
NetworkName = Annotated[str, *_network_checks]
NodeName = Annotated[str, *_node_checks]
Switch = Annotated[bool, Field(strict=True)]
"""true or false, and no text or number that could mean it."""
RegionName = Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
RoleName = Annotated[str, *_labelled(40, "role name", "A short name in lower case.")]
SecretName = Annotated[str, Field(pattern=r"^([a-z0-9-]{1,40}|\*)$")]
TopologyName = Annotated[str, *_topology_checks]
Line = Annotated[str, _line(200)]
"""One line of text for people."""
Password = Annotated[str, _line(100)]
