"""Turns libvirt's errors into ours, once, at the boundary."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import libvirt

from labctl.errors import AlreadyExistsError, CapacityError, HypervisorError, LabctlError, NotFoundError, RefusedError

LOG = logging.getLogger(__name__)
"""Every call that succeeded: what it did, and its milliseconds."""

_NOT_FOUND = {
    libvirt.VIR_ERR_NO_DOMAIN,
    libvirt.VIR_ERR_NO_DOMAIN_METADATA,
    libvirt.VIR_ERR_NO_NETWORK,
    libvirt.VIR_ERR_NO_NETWORK_PORT,
    libvirt.VIR_ERR_NO_STORAGE_POOL,
    libvirt.VIR_ERR_NO_STORAGE_VOL,
}
_EXISTS = {
    libvirt.VIR_ERR_DOM_EXIST,
    libvirt.VIR_ERR_NETWORK_EXIST,
    libvirt.VIR_ERR_STORAGE_POOL_BUILT,
    libvirt.VIR_ERR_STORAGE_VOL_EXIST,
}
_DENIED = {libvirt.VIR_ERR_ACCESS_DENIED, libvirt.VIR_ERR_AUTH_FAILED, libvirt.VIR_ERR_OPERATION_DENIED}
_UNREACHABLE = {
    libvirt.VIR_ERR_INVALID_CONN,
    libvirt.VIR_ERR_LIBSSH,
    libvirt.VIR_ERR_NO_CONNECT,
    libvirt.VIR_ERR_RPC,
    libvirt.VIR_ERR_SSH,
}
# What libvirt puts before the words of a program that it ran: the whole command line. The program's words suffice.
_CHILD = re.compile(r"internal error: Child process \(.*\) unexpected exit status \d+: (?=\s*\S)", re.DOTALL)


@contextmanager
def translated(doing: str, *, remedy: str = "") -> Iterator[None]:
    """Raise our error for whatever libvirt raises inside the block.

    Args:
        doing: what the block does, the end of the sentence "cannot ...": "start domain team01-db-node".
        remedy: what to do next, unless libvirt refused: then it says why.
    """
    began = time.monotonic()
    try:
        yield
        LOG.info("%s: %.0f ms", doing, (time.monotonic() - began) * 1000)
    except libvirt.libvirtError as exc:
        error = error_for(doing, exc.get_error_code(), str(exc))
        if not isinstance(error, RefusedError):
            error.remedy = remedy or error.remedy
        raise error from exc


def error_for(doing: str, code: int | None, message: str) -> LabctlError:
    """Return our error for libvirt's `code` and `message`; any code has one."""
    brief = f"cannot {doing}"
    message = _CHILD.sub("", message).strip()
    if "No space left on device" in message or code == libvirt.VIR_ERR_NO_MEMORY:
        return CapacityError(brief, details=message, remedy="Free some room on the host, then run the command again.")
    if code in _NOT_FOUND:
        return NotFoundError(brief, details=message)
    if code in _EXISTS or "already exists" in message:
        return AlreadyExistsError(brief, details=message)
    if code in _DENIED:
        return RefusedError(
            brief, details=message, remedy="Use an account that may manage libvirt (root, or group libvirt)."
        )
    if code in _UNREACHABLE:
        return HypervisorError(
            brief, details=message, remedy="See that libvirtd runs: labctl doctor, labctl host status."
        )
    return HypervisorError(brief, details=message)
