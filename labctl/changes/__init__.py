"""What can be done to a guest, as frozen data: look, judge, act. What has a before and an after can be undone."""

from labctl.changes.action import Action, Context
from labctl.changes.cards import Card
from labctl.changes.change import Change, Outcome, Record
from labctl.changes.clock import Clock
from labctl.changes.files import Absent, Ini, Line, Permissions, PutFile
from labctl.changes.packages import Packages
from labctl.changes.run import Python, Run
from labctl.changes.space import Filler, Mount
from labctl.changes.units import Unit, UnitState
from labctl.changes.wait import Wait

__all__ = [
    "Absent",
    "Action",
    "Card",
    "Change",
    "Clock",
    "Context",
    "Filler",
    "Ini",
    "Line",
    "Mount",
    "Outcome",
    "Packages",
    "Permissions",
    "PutFile",
    "Python",
    "Record",
    "Run",
    "Unit",
    "UnitState",
    "Wait",
]
