"""Plans labs without asking any host."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from labctl.errors import InputError
from labctl.plan import addresses, names
from labctl.plan.lab import plan
from labctl.plan.model import Identity, LabPlan
from labctl.site.site import default_name, load_settings
from labctl.spec.topology import Topology
from labctl.state import Home, records


def plans(
    home: Home, teams: Sequence[str], topology: Topology | None, *, stage: str, host: str | None
) -> list[LabPlan]:
    """Plan each team's lab: the one on record, or the one that `create` would most likely make.

    Subnets of new labs may come out differently: only the host knows which are taken.

    Args:
        topology: for teams without a lab.
        host: whose settings give the pool of management subnets.

    Raises:
        InputError: no topology for a new lab; or two labs would have objects of the same name.
    """
    settings = load_settings(home, host or default_name()).mgmt
    taken = [record.mgmt for record in home.records()]
    planned = []
    for team in teams:
        record = home.lab(team).load()
        if record is not None:
            planned.append(records.plan_of(record))
            continue
        if topology is None:
            raise InputError(f"{team} has no lab yet", remedy="Name a --topology.")
        mgmt = addresses.lease(settings.pool, settings.prefix, taken, own=topology.subnets)
        taken.append(mgmt)
        nobody = UUID(int=0)  # UUIDs are drawn when the lab is created; no view shows them
        planned.append(plan(topology, Identity(team=team, lab=nobody, owner=nobody, mgmt=mgmt), stage=stage))
    names.refuse_shared(planned)
    return planned
