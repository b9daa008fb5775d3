"""What can be done to a guest, as frozen data: look, judge, act. What has a before and an after can be undone."""

from labctl.changes.action import Action, Admin, Context
from labctl.changes.broker import Broker
from labctl.changes.cards import Card
from labctl.changes.change import Change, Outcome, Record
from labctl.changes.clock import Clock
from labctl.changes.database import Account, Value, Variable
from labctl.changes.files import Absent, Ini, Line, Permissions, PutFile
from labctl.changes.options import Double, RaiseAbove, Rename, Respell
from labctl.changes.packages import Packages
from labctl.changes.process import Stopped
from labctl.changes.run import Python, Run
from labctl.changes.space import Filler, Mount
from labctl.changes.things import Thing
from labctl.changes.units import Unit, UnitState
from labctl.changes.wait import Wait

__all__ = [
    "Absent",
    "Account",
    "Action",
    "Admin",
    "Broker",
    "Card",
    "Change",
    "Clock",
    "Context",
    "Double",
    "Filler",
    "Ini",
    "Line",
    "Mount",
    "Outcome",
    "Packages",
    "Permissions",
    "PutFile",
    "Python",
    "RaiseAbove",
    "Record",
    "Rename",
    "Respell",
    "Run",
    "Stopped",
    "Thing",
    "Unit",
    "UnitState",
    "Value",
    "Variable",
    "Wait",
]
