"""Families of the catalogue that are no files here, and why: the documents list them."""

from __future__ import annotations

_BELOW = "it is below the nodes: nobody in them can mend it"
_RESIDENT = "it harms a resident server, which labs do not have"

LEFT_OUT = {
    "CN-10": _RESIDENT,
    "CN-12": _BELOW,
    "DB-09": "the broker's disk is the same, and both never come back by themselves",
    "DB-10": "only a snapshot brings the schema back",
    "HO-03": "it modifies other faults: stopped units are masked where a neighbour would start them",
    "KS-21": "it is in one shell alone, and no check is in that shell",
    "NW-11": "to take all addresses, and to give them back, are some 250 requests each: too many for emulated nodes",
    "NW-19": "what answers depends on who asks first: no check can prove it each time",
    "NW-25": _BELOW,
    "NW-26": _RESIDENT,
    "NW-27": _RESIDENT,
    "NW-28": "nothing breaks: nobody routes between the two networks",
    "VO-14": _RESIDENT,
}
"""ID to the reason."""
