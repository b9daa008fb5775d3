"""Families of the catalogue that are no files here, and why: the documents list them."""

from __future__ import annotations

_RESIDENT = "it harms a resident server, which labs do not have"
_SEVERAL = "it shows only between several nodes, and was not tried on such a lab yet"
_VERB = "no change of its kind is written yet"

LEFT_OUT = {
    "CN-07": _SEVERAL,
    "CN-10": _RESIDENT,
    "CN-12": "it is below the nodes: nobody in them can mend it",
    "CN-13": _RESIDENT,
    "CN-14": "a module of Python's that labctl's own programs in the node could meet",
    "CN-15": "/etc/group is a way into the node, and no fault may touch it",
    "CP-15": _SEVERAL,
    "CP-16": f"{_VERB}: aggregates",
    "CP-17": "Nova leaves the ratio in Placement's inventory, so a repair of the file repairs nothing",
    "DB-07": "the services that fight for connections lock the undo out as well",
    "DB-09": "the broker's disk is the same, and both never come back by themselves",
    "DB-10": "only a snapshot brings the schema back",
    "GL-06": f"{_VERB}: a block of an image's file",
    "GL-07": f"{_VERB}: properties of images",
    "HE-02": "it shows in stacks with users of their own alone, which no check makes",
    "HO-02": f"{_VERB}: rules of iptables",
    "HO-03": "it modifies other faults: stopped units are masked where a neighbour would start them",
    "HO-05": "on the node of an API alone it shows late, and in one-node labs it is DB-09",
    "HO-06": "it shows on the dashboard's node alone, by names that no check uses there",
    "HO-07": f"{_VERB}: drop-ins of units, which ask for a reload",
    "KS-21": "it is in one shell alone, and no check is in that shell",
    "KS-22": _SEVERAL,
    "NW-07": "tunnels are in havana alone, and it was not tried there yet",
    "NW-10": f"{_VERB}: more subnets",
    "NW-11": f"{_VERB}: addresses by the hundred",
    "NW-16": f"{_VERB}: settings of the kernel within a router",
    "NW-17": _SEVERAL,
    "NW-18": f"{_VERB}: ports of Open vSwitch",
    "NW-19": "what answers depends on who asks first: no check can prove it each time",
    "NW-20": "a fork's first reboot ends it, and in one-node labs every service has the same name",
    "NW-21": _SEVERAL,
    "NW-22": f"{_VERB}: helpers that run already",
    "NW-25": "it is below the nodes: nobody in them can mend it",
    "NW-26": _RESIDENT,
    "NW-27": _RESIDENT,
    "NW-28": "nothing breaks: nobody routes between the two networks",
    "VO-06": _RESIDENT,
    "VO-08": _SEVERAL,
    "VO-09": f"{_VERB}: rules of iptables",
    "VO-11": f"{_VERB}: logical volumes",
    "VO-14": _RESIDENT,
    "VO-16": _SEVERAL,
}
"""ID to the reason."""
