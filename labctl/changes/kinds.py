"""All kinds of things that changes are made to, by name: records name them."""

from __future__ import annotations

from labctl.changes.broker import BROKERS
from labctl.changes.cards import CARDS
from labctl.changes.change import Kind
from labctl.changes.clock import CLOCKS
from labctl.changes.database import ACCOUNTS, VALUES, VARIABLES
from labctl.changes.files import FILES
from labctl.changes.process import PROCESSES
from labctl.changes.space import FILLERS, MOUNTS
from labctl.changes.things import THINGS
from labctl.changes.units import UNITS

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        *(ACCOUNTS, BROKERS, CARDS, CLOCKS, FILES, FILLERS, MOUNTS, PROCESSES, THINGS, UNITS, VALUES, VARIABLES),
    )
}
