"""What teams may do by buttons: log in, raise a hand, take a hint, report a diagnosis, get their files."""

from __future__ import annotations

import time
from dataclasses import dataclass

from labctl.errors import InputError
from labctl.lab import access, hands, install, rounds, secrets
from labctl.lab.classroom import TeamView
from labctl.lab.limit import Limit
from labctl.lab.rounds import Diagnosis, Offer
from labctl.report import logins
from labctl.report.logins import Door, Keys
from labctl.roles import login
from labctl.secret import reveal
from labctl.state import Home, records

_MINUTE = 60.0
_WRONG_OF_TEAM, _WRONG_OF_ADDRESS = 5, 100  # wrong passwords a minute; a whole classroom may have one address
_FOLDER = "~/.ssh/labctl"


@dataclass(frozen=True, kw_only=True)
class Choices:
    """What a report may name."""

    services: tuple[str, ...] = ()
    nodes: tuple[str, ...] = ()


class Actions:
    """The buttons of teams.

    Args:
        ssh_port: of the SSH door, for the configuration that teams download; None where it is not open.
        dashboards: port of the labs' dashboards; None where it is not open.
    """

    def __init__(self, home: Home, *, ssh_port: int | None, dashboards: int | None = None) -> None:
        self._home = home
        self.ssh_port = ssh_port
        self._dashboards = dashboards
        self._by_team = Limit(_WRONG_OF_TEAM, _MINUTE, time.monotonic)
        self._by_address = Limit(_WRONG_OF_ADDRESS, _MINUTE, time.monotonic)
        self._choices: dict[object, Choices] = {}

    def log_in(self, team: str, password: str, address: str) -> str:
        """Compare a password with the team's; return why nobody is let in, nothing where it is right."""
        counters = ((self._by_team, (address, team)), (self._by_address, address))
        if any(limit.closed(who) for limit, who in counters):
            return "Too many wrong passwords. Wait a minute."
        if access.knows_password(access.known_or_none(self._home, team), password):
            return ""
        for limit, who in counters:
            limit.failed(who)
        return "That is not the password of this team."

    def hand(self, team: str, *, up: bool, text: str = "") -> None:
        """Raise a team's hand, or lower it."""
        hands.put(self._home, team, up=up, text=text)

    def offer(self, team: str) -> Offer | None:
        """Return the next hint that a team may take, without giving it; None where it plays in no round or has all."""
        seat = rounds.seat_of(self._home, team)
        return rounds.offer(self._home, seat, None) if seat is not None and seat.state == "running" else None

    def take_hint(self, team: str, slot: str, number: str) -> str:
        """Take the hint that was offered, and return it.

        Raises:
            InputError: it is offered no more: somebody else of the team took it, or the round is over.
        """
        offer, seat = self.offer(team), rounds.seat_of(self._home, team)
        if offer is None or seat is None or (str(offer.slot), str(offer.number)) != (slot, number):
            raise InputError("this hint is not on offer any more")
        rounds.take(self._home, seat, offer)
        return offer.text

    def report(self, team: str, said: Diagnosis) -> float:
        """Write down what a team says is broken; return the seconds of play that are left.

        Raises:
            InputError: it says nothing, or names what the lab has not.
            RefusedError: the clock has not started.
        """
        return rounds.report(self._home, team, said)

    def choices(self, team: TeamView) -> Choices:
        """Return what a team may name in a report; nothing where it does not play."""
        if team.round is None or team.round.state not in ("running", "paused") or not team.lab:
            return Choices()
        lab = records.lab_of(self._home, team.lab)
        key = (lab.record.lab, lab.record.stage, lab.record.bare)
        if key not in self._choices:  # all faults are asked, and all pages are made again whenever something changes
            self._choices[key] = Choices(
                services=tuple(rounds.services(lab.plan)), nodes=tuple(node.name for node in lab.plan.nodes)
            )
        return self._choices[key]

    def dashboard(self, team: TeamView, host: str) -> str | None:
        """Return the address of a team's dashboard; None where it has none.

        Args:
            host: the name by which the team reaches the classroom.
        """
        there = team.stage == "installed" and any("horizon" in node.roles for node in team.nodes)
        return f"https://{host}:{self._dashboards}/horizon/" if there and self._dashboards else None

    def files(self, team: TeamView) -> list[str]:
        """Name the files that a team may have: those of its own lab, while it works on it."""
        if team.lab != team.team or not team.nodes:
            return []
        ssh = ["config", f"{team.team}.key", f"{team.team}.known_hosts"] if self.ssh_port else []
        record = self._home.lab(team.team).load()
        cloud = ["openrc", "clouds.yaml"] if record is not None and record.installed else []
        return [*ssh, *cloud]

    def file(self, team: TeamView, name: str, host: str) -> str | None:
        """Return the content of one of a team's files; None where it has no such file.

        Args:
            host: the name by which the team reaches the classroom.
        """
        if name not in self.files(team):
            return None
        if name in ("openrc", "clouds.yaml"):
            cloud = install.cloud_on_record(self._home, team.team)
            return str(reveal(login.openrc(cloud, "demo") if name == "openrc" else login.clouds_yaml(cloud)))
        folder = self._home.lab(team.team)
        if name.endswith(".key"):
            return secrets.login_key(folder)
        door = Door(host=host, port=self.ssh_port or 0)
        if name.endswith(".known_hosts"):
            key = " ".join(access.door_key(self._home).public.split()[:2])
            return f"{door.alias} {key}\n{folder.read('known_hosts') or ''}"
        plan = records.lab_of(self._home, team.team).plan
        keys = Keys(private=f"{_FOLDER}/{team.team}.key", known_hosts=f"{_FOLDER}/{team.team}.known_hosts")
        return logins.ssh_config(plan, logins.through(plan, keys, door), door=(door, keys), alone=True)
