"""Runs libvirt's event loop, so that labctl waits for events instead of polling."""

from __future__ import annotations

import functools
import threading

import libvirt


@functools.cache
def start_loop() -> None:
    """Start libvirt's event loop in a thread of its own, once per process and before the first connection.

    The loop answers keepalive messages too; without it libvirtd drops an idle connection.
    """
    libvirt.registerErrorHandler(lambda *_: None, None)  # errors are raised; they need not be printed as well
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_run, name="libvirt-events", daemon=True).start()


def _run() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
