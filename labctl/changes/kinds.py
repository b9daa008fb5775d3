"""All kinds of things that changes are made to, by name: records name them."""

from __future__ import annotations

from labctl.changes.blocks import BLOCKS
from labctl.changes.broker import BROKERS
from labctl.changes.cards import CARDS
from labctl.changes.cells import CELL_HOSTS
from labctl.changes.change import Kind
from labctl.changes.clock import CLOCKS
from labctl.changes.database import ACCOUNTS, CROWDS, VALUES, VARIABLES
from labctl.changes.dropins import DROPINS
from labctl.changes.files import FILES
from labctl.changes.firewall import REFUSALS
from labctl.changes.members import MEMBERS
from labctl.changes.process import PROCESSES
from labctl.changes.routers import ROUTER_SETTINGS
from labctl.changes.space import FILLERS, MOUNTS
from labctl.changes.switch import PORTS
from labctl.changes.things import THINGS
from labctl.changes.units import UNITS
from labctl.changes.volumes import VOLUMES

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        *(ACCOUNTS, BLOCKS, BROKERS, CARDS, CELL_HOSTS, CLOCKS, CROWDS, DROPINS, FILES, FILLERS),
        *(MEMBERS, MOUNTS, PORTS, PROCESSES, REFUSALS, ROUTER_SETTINGS, THINGS, UNITS, VALUES, VARIABLES, VOLUMES),
    )
}
