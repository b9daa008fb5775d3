"""Bundles come from anywhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.errors import InputError
from labctl.lab import bundle


@pytest.mark.parametrize("content", [b"", b"\xff", b"[" * 100_000, b"[]", b"1", b'{"version": 1}'])
def test_an_index_that_is_none_is_bad_input(content: bytes) -> None:
    with pytest.raises(InputError, match="cannot be imported"):
        bundle._index(content, Path("x.labctl"))
