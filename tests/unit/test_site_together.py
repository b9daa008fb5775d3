"""Pieces of work side by side: an interrupt reaches them whichever thread the system gives it to."""

from __future__ import annotations

import signal
import time

import pytest

from labctl.cli.labs import cancellable
from labctl.site.together import together


def test_an_interrupt_that_another_thread_was_given_is_noticed() -> None:
    heard = []

    def piece() -> None:
        time.sleep(0.3)  # until the main thread waits
        signal.raise_signal(signal.SIGINT)
        heard.append(cancelled.wait(10))

    with cancellable() as cancelled, pytest.raises(KeyboardInterrupt):
        together([piece], jobs=1, cancelled=cancelled, brief="", remedy="")
    assert heard == [True]
