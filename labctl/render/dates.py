"""Sets every date in a small ISO 9660 image to a fixed one, so that equal contents make equal bytes.

The ISO library writes the time of the call and offers no other. Structures: ECMA-119 sections 8.4, 9.1; Rock Ridge's
TF entry in IEEE P1282 section 4.1.6.
"""

from __future__ import annotations

from collections.abc import Iterator

_SECTOR = 2048
_FIRST_DESCRIPTOR = 16
_LONG = b"2000010100000000\0"
_SHORT = bytes([100, 1, 1, 0, 0, 0, 0])
_PRIMARY, _SUPPLEMENTARY, _END = 1, 2, 255
_ROOT = 156
_VOLUME_DATES = 813
_TF_FLAG_LONG = 0x80


def erase(image: bytes) -> bytes:
    """Return the image with all its dates set to the first of January 2000.

    Args:
        image: an ISO whose files all lie in the root directory, with or without Joliet and Rock Ridge.
    """
    made = bytearray(image)
    sector = _FIRST_DESCRIPTOR * _SECTOR
    while made[sector] != _END:
        if made[sector] in (_PRIMARY, _SUPPLEMENTARY):
            for position in (0, 1, 3):  # creation, modification, effective; expiration stays "never"
                start = sector + _VOLUME_DATES + position * len(_LONG)
                made[start : start + len(_LONG)] = _LONG
            _erase_directory(made, sector + _ROOT)
        sector += _SECTOR
    return bytes(made)


def _erase_directory(made: bytearray, root: int) -> None:
    extent = int.from_bytes(made[root + 2 : root + 6], "little") * _SECTOR
    length = int.from_bytes(made[root + 10 : root + 14], "little")
    for record in (root, *_records(made, extent, length)):
        made[record + 18 : record + 25] = _SHORT
        name_length = made[record + 32]
        first = record + 33 + name_length + (1 - name_length % 2)
        _erase_entries(made, first, record + made[record])


def _records(made: bytearray, extent: int, length: int) -> Iterator[int]:
    place = extent
    while place < extent + length:
        if made[place]:
            yield place
            place += made[place]
        else:  # records do not cross sectors: the rest of this one is empty
            place += _SECTOR - place % _SECTOR


def _erase_entries(made: bytearray, place: int, end: int) -> None:
    """Set the dates of Rock Ridge's TF entries between two places, following continuation areas (CE)."""
    while place + 4 <= end and made[place + 2] >= 4:
        name, length = bytes(made[place : place + 2]), made[place + 2]
        if name == b"TF":
            size = len(_LONG) if made[place + 4] & _TF_FLAG_LONG else len(_SHORT)
            for start in range(place + 5, place + length, size):
                made[start : start + size] = _LONG if size == len(_LONG) else _SHORT
        elif name == b"CE":
            block, offset, size = (int.from_bytes(made[place + at : place + at + 4], "little") for at in (4, 12, 20))
            _erase_entries(made, block * _SECTOR + offset, block * _SECTOR + offset + size)
        place += length
