"""Host files: where labs run and how their guests are dialled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from netaddr import IPNetwork
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from labctl.errors import InputError
from labctl.spec import document, problems
from labctl.spec.document import Document, Location, Problem
from labctl.spec.values import Count, Line, Subnet, Switch, label, shown

MGMT_POOL = IPNetwork("192.168.128.0/17")
"""Where management subnets are leased from: private, and far from the subnets of tutorials and home routers."""

MGMT_PREFIX = 24
"""128 subnets of 244 nodes each in the default pool."""

POOL_NAME = "labctl"
POOL_PATH = Path("/var/lib/libvirt/images/labctl")


def _pool_path(path: Path) -> Path:
    if not path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{shown(str(path))} is not an absolute path like {POOL_PATH}")
    return path


def _uri(text: str) -> str:
    try:
        parts = urlsplit(text)
        sound = not text or (bool(parts.scheme) and parts.port != 0)
    except ValueError as exc:
        raise ValueError(f"{shown(text)} is not a libvirt URI: {exc}") from exc
    if not sound:
        raise ValueError(f"{shown(text)} is not a libvirt URI like qemu+ssh://root@kvm1/system")
    return text


def _pool_name(text: str) -> str:
    return label(text, longest=40, what="pool name")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Mgmt(_Part):
    """Where the teams' management subnets come from."""

    pool: Subnet = MGMT_POOL
    """The range that is cut into subnets, one a lab."""

    prefix: Count = Field(default=MGMT_PREFIX, ge=16, le=28)
    """The length of each subnet's mask."""

    @field_validator("prefix")
    @classmethod
    def _within(cls, prefix: int, info: ValidationInfo) -> int:
        pool = info.data.get("pool")
        if pool is not None and prefix < pool.prefixlen:
            raise ValueError(f"a /{prefix} does not fit into the pool {pool}; give {pool.prefixlen} to 28")
        return prefix


class Pool(_Part):
    """The storage pool that holds the labs' volumes."""

    name: Annotated[str, AfterValidator(_pool_name)] = POOL_NAME
    """Its name in libvirt."""

    path: Annotated[Path, AfterValidator(_pool_path)] = POOL_PATH
    """Its folder on the host, absolute."""


class Host(_Part):
    """A libvirt host and how labctl uses it."""

    uri: Annotated[Line, AfterValidator(_uri)] = ""
    """The libvirt URI, for instance qemu:///system or qemu+ssh://root@kvm1/system. Empty for a private host, which
    labctl starts itself."""

    dial: Literal["auto", "direct", "namespace", "jump"] = "auto"
    """How nodes are reached: direct from here, from inside the private host's network namespace, or by SSH through the
    host. auto chooses by the URI."""

    mgmt: Mgmt = Mgmt()
    """Where the teams' management subnets come from."""

    pool: Pool = Pool()
    """The storage pool that holds the labs' volumes."""

    jobs: Count = Field(default=4, ge=1, le=64)
    """How many nodes are worked on at the same time."""

    overcommit: Switch = False
    """Whether labs may be created that need more than the host has."""


def load(path: Path) -> Host:
    """Read a host file.

    Raises:
        InputError: it cannot be read or is not valid; the message lists every problem with its line.
    """
    return loads(document.read(path), str(path))


def loads(text: str, source: str) -> Host:
    """Read a host file from its text.

    Raises:
        InputError: it is not valid; the message lists every problem with its line.
    """
    doc = document.parse(text, source)
    found = list(doc.problems)
    try:
        host = Host.model_validate({} if doc.data is None else doc.data)
    except ValidationError as exc:
        raise _refusal(doc, [*found, *problems.found(exc, _keys_at)]) from exc
    if found:
        raise _refusal(doc, found)
    return host


def of_uri(uri: str) -> Host:
    """Return the host of a libvirt URI, every other setting at its default.

    Raises:
        InputError: it is no URI.
    """
    try:
        return Host(uri=uri)
    except ValidationError as exc:
        (problem,) = problems.found(exc, _keys_at)
        raise InputError(problem.message, remedy="Give one like qemu+ssh://root@kvm1/system.") from exc


def _refusal(doc: Document, found: list[Problem]) -> InputError:
    remedy = "docs/hosts.md describes every key; an empty file is valid, every key has a default."
    return problems.refusal(doc, found, what="host file", remedy=remedy)


def _keys_at(location: Location) -> tuple[str, ...]:
    models: dict[Location, type[BaseModel]] = {(): Host, ("mgmt",): Mgmt, ("pool",): Pool}
    return tuple(models[location].model_fields) if location in models else ()
