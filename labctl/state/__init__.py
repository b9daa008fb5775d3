"""The state folder: records of labs, ledgers, secrets, locks."""

from labctl.state.files import write_atomically
from labctl.state.home import MOMENT, Home, LabFolder
from labctl.state.locks import Kind
from labctl.state.parsing import parsed
from labctl.state.record import LabRecord

__all__ = ["MOMENT", "Home", "Kind", "LabFolder", "LabRecord", "parsed", "write_atomically"]
