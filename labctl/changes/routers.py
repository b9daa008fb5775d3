"""Settings of the kernel within a virtual router: in its own namespace, until the agent makes that anew."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from labctl import quoting
from labctl.changes.action import Context
from labctl.changes.change import Change, Kind, State
from labctl.errors import InputError


class RouterSettings:
    """Settings by `ROUTER SETTING`, on the node where the router is."""

    name = "router-setting"

    def look(self, context: Context, target: str) -> State:
        """Return the value.

        Raises:
            InputError: the cloud has no such router, or the node no such namespace.
        """
        said = context.ask(f"{self._inside(context, target)} sysctl -n {self._setting(target)}")
        if not said.ok:
            raise InputError(f"{context.guest.name} has no router {target.split()[0]}", details=said.tail())
        return {"value": said.stdout.strip()}

    def become(self, context: Context, target: str, now: State, wanted: State) -> None:
        """Set it."""
        value = quoting.shell(wanted["value"])
        context.run(f"{self._inside(context, target)} sysctl -q -w {self._setting(target)}={value}", timeout=60)

    def same(self, one: State, other: State) -> bool:
        """Whether the values are equal."""
        return one == other

    def show(self, target: str, now: State, wanted: State) -> str:
        """Return what differs."""
        return f"{target}: {now['value']} -> {wanted['value']}"

    def _inside(self, context: Context, target: str) -> str:
        name, door = target.split()[0], context.demand_cloud()
        found = door.translated(lambda: door.admin.network.find_router(name))
        if found is None:
            raise InputError(f"the cloud has no router {name}")
        return f"ip netns exec {quoting.shell(f'qrouter-{found.id}')}"

    def _setting(self, target: str) -> str:
        return quoting.shell(target.split()[1])


ROUTER_SETTINGS: Kind = RouterSettings()


@dataclass(frozen=True, kw_only=True)
class RouterSetting(Change):
    """Sets a setting of the kernel within a router.

    Attributes:
        setting: as sysctl calls it.
    """

    kind: ClassVar[Kind] = ROUTER_SETTINGS
    router: str
    setting: str
    value: str

    @property
    def target(self) -> str:
        """Router and setting."""
        return f"{self.router} {self.setting}"

    def judge(self, now: State) -> State:
        """Return the value.

        Raises:
            InputError: it is so already.
        """
        if now["value"] == self.value:
            raise InputError(f"{self.setting} of {self.router} is {self.value} already")
        return {"value": self.value}

    def describe(self) -> str:
        """Say which."""
        return f"set {self.setting} to {self.value} within {self.router}"
