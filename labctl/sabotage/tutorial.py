"""The tutorial's eleven sabotages: which faults they are today, and what a learner types who meets one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

_BOOT = "openstack server create --image instance --flavor m1.tiny --network net1 --wait probe"
_GONE = "openstack server delete --wait probe"


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One of the eleven, as one fault of today.

    Attributes:
        number: its place in the tutorial.
        fault, variant: of today.
        types: the line with which a learner meets it, in a shell that is logged in to the cloud.
        user: who is logged in.
        shows: what comes then, once it shows: the cloud learns late that a service says nothing any more.
        after: the line that removes what the first one may have made, once all is well again.
    """

    number: int
    fault: str
    types: str
    variant: str = ""
    user: Literal["admin", "demo"] = "demo"
    shows: str = ""
    after: str = ""

    def met(self, meets: Mapping[str, str]) -> str | None:
        """Return what came when the line was typed, by lines that were typed; None if it was not, or did not show."""
        came = meets.get(self.types)
        return came if came is not None and self.shows in came else None


ELEVEN = (
    Lesson(number=1, fault="KS-01", variant="nova", types="openstack server list"),
    Lesson(number=1, fault="KS-02", types="openstack image list"),
    Lesson(
        number=2, fault="MQ-02", variant="nova", types="openstack compute service list", user="admin", shows="| down "
    ),
    Lesson(number=3, fault="CN-03", types=_BOOT, after=_GONE),
    Lesson(number=4, fault="MQ-01", types="openstack compute service list", user="admin", shows="| down "),
    Lesson(number=4, fault="DB-01", types="openstack token issue"),
    Lesson(number=4, fault="CP-01", types="openstack server list"),
    Lesson(number=4, fault="NW-01", types="openstack network list"),
    Lesson(number=4, fault="NW-02", types="openstack network agent list", user="admin", shows="| XXX "),
    Lesson(number=4, fault="NW-03", types="openstack network agent list", user="admin", shows="| XXX "),
    Lesson(number=4, fault="NW-04", types="openstack network agent list", user="admin", shows="| XXX "),
    Lesson(number=4, fault="NW-05", types="openstack network agent list", user="admin", shows="| XXX "),
    Lesson(number=4, fault="GL-01", types="openstack image list"),
    Lesson(number=4, fault="CP-02", types=_BOOT, after=_GONE),
    Lesson(number=5, fault="DB-04", variant="nova", types="openstack server list"),
    Lesson(number=6, fault="DB-04", variant="glance", types="openstack image list"),
    Lesson(number=7, fault="DB-04", variant="placement", types=_BOOT, after=_GONE),
    Lesson(number=8, fault="DB-04", variant="cinder", types="openstack volume list"),
    Lesson(number=9, fault="KS-04", variant="nova", types="openstack server list"),
    Lesson(
        number=10,
        fault="VO-03",
        types=f"{_BOOT} >/dev/null; openstack volume create --size 1 probe >/dev/null; "
        "openstack server add volume probe probe; sleep 60; openstack volume list",
        after=f"{_GONE}; openstack volume delete probe",
    ),
    Lesson(number=11, fault="NW-09", types="openstack floating ip create public"),
    Lesson(
        number=11,
        fault="NW-10",
        types="address=$(openstack floating ip create -f value -c floating_ip_address public); echo $address; "
        "ping -c 3 $address",
    ),
)
"""In the tutorial's order. What its nova-network and glance-registry did, five units of Neutron and Placement do."""


def lesson(fault: str, variant: str) -> Lesson | None:
    """Return the lesson that a fault is; None where the tutorial has none like it."""
    return next((each for each in ELEVEN if (each.fault, each.variant) == (fault, variant)), None)
