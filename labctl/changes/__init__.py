"""What can be done to a guest, as frozen data: look, judge, act. What has a before and an after can be undone."""

from labctl.changes.action import Action, Admin, Context
from labctl.changes.blocks import Rotten
from labctl.changes.broker import Broker
from labctl.changes.cards import Card
from labctl.changes.cells import Unmapped
from labctl.changes.change import Change, Outcome, Record
from labctl.changes.clock import Clock
from labctl.changes.database import Account, Crowd, Value, Variable
from labctl.changes.dropins import DropIn
from labctl.changes.files import Absent, Ini, Line, Permissions, PutFile
from labctl.changes.firewall import Refusal
from labctl.changes.members import Member
from labctl.changes.options import Double, RaiseAbove, Rename, Respell
from labctl.changes.packages import Packages
from labctl.changes.process import Stopped
from labctl.changes.routers import RouterSetting
from labctl.changes.run import Python, Run
from labctl.changes.space import Filler, Mount
from labctl.changes.switch import SwitchPort
from labctl.changes.things import Thing
from labctl.changes.units import Unit, UnitState
from labctl.changes.volumes import LogicalVolume
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
    "Crowd",
    "Double",
    "DropIn",
    "Filler",
    "Ini",
    "Line",
    "LogicalVolume",
    "Member",
    "Mount",
    "Outcome",
    "Packages",
    "Permissions",
    "PutFile",
    "Python",
    "RaiseAbove",
    "Record",
    "Refusal",
    "Rename",
    "Respell",
    "Rotten",
    "RouterSetting",
    "Run",
    "Stopped",
    "SwitchPort",
    "Thing",
    "Unit",
    "UnitState",
    "Unmapped",
    "Value",
    "Variable",
    "Wait",
]
