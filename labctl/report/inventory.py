"""The nodes of labs as Ansible's inventory: a document that `--list` prints, and the same as INI, YAML and /etc/hosts.

Groups are named by what their members share: lab_team01, role_nova, stage_installed, topology_gridka. A node is a host
of the name that it has in libvirt, team01-db-node.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from labctl import quoting
from labctl.plan.model import LabPlan, NodePlan
from labctl.report.logins import Login

Entry = tuple[LabPlan, Sequence[Login]]
"""A lab, and how each of its nodes is logged in to."""


def listing(labs: Iterable[Entry]) -> dict[str, Any]:
    """Return what an inventory script prints for `--list`: groups, and the variables of every host."""
    groups: dict[str, list[str]] = {}
    variables: dict[str, dict[str, Any]] = {}
    for lab, logins in labs:
        for login in logins:
            variables[login.alias] = _variables(lab, login)
            for group in _groups(lab, lab.node(login.node)):
                groups.setdefault(group, []).append(login.alias)
    return {
        "_meta": {"hostvars": variables},
        "all": {"children": ["ungrouped", *groups]},
        **{group: {"hosts": hosts} for group, hosts in groups.items()},
    }


def host(labs: Iterable[Entry], name: str) -> dict[str, Any]:
    """Return what an inventory script prints for `--host NAME`; nothing for a host that there is not."""
    found: dict[str, Any] = listing(labs)["_meta"]["hostvars"].get(name, {})
    return found


def document(labs: Iterable[Entry]) -> dict[str, Any]:
    """Return the inventory as Ansible's YAML plugin reads it."""
    listed = listing(labs)
    variables = listed["_meta"]["hostvars"]
    children: dict[str, Any] = {
        group: {"hosts": {name: {} for name in value["hosts"]}}
        for group, value in listed.items()
        if group not in ("_meta", "all")
    }
    return {"all": {"hosts": variables, "children": children}}


def ini(labs: Iterable[Entry]) -> str:
    """Return the inventory as Ansible's INI plugin reads it."""
    listed = listing(labs)
    lines = [
        " ".join([name, *(f"{key}={quoting.shell(value)}" for key, value in variables.items() if _flat(value))])
        for name, variables in listed["_meta"]["hostvars"].items()
    ]
    for group, value in listed.items():
        if group not in ("_meta", "all"):
            lines += ["", f"[{group}]", *value["hosts"]]
    return "\n".join(lines) + "\n"


def hosts(labs: Iterable[LabPlan]) -> str:
    """Return lines for /etc/hosts of the machine that labs stand on: every node by its management address."""
    lines = [
        f"{node.mgmt} {quoting.word(node.full_name)}" for lab in labs for node in lab.nodes if node.mgmt is not None
    ]
    return "\n".join(lines) + "\n"


def _variables(lab: LabPlan, login: Login) -> dict[str, Any]:
    """Return a host's variables. What Ansible has no variable for goes to OpenSSH's command line."""
    node = lab.node(login.node)
    rest = {key: value for key, value in login.options.items() if key not in ("User", "IdentityFile")}
    arguments = [f"-o{key}={value}" for key, value in (*rest.items(), ("ProxyCommand", login.proxy_command))]
    arguments.append(f"-oIdentityFile={login.options['IdentityFile']}")
    return {
        "ansible_host": login.alias,
        "ansible_user": login.options["User"],
        "ansible_ssh_common_args": str(quoting.shell_line(arguments)),
        "ansible_python_interpreter": "/usr/bin/python3",
        "labctl_team": lab.team,
        "labctl_node": node.name,
        "labctl_roles": list(node.roles),
        "labctl_addresses": {nic.network: str(nic.address) for nic in node.nics if nic.address is not None},
    }


def _groups(lab: LabPlan, node: NodePlan) -> Iterator[str]:
    yield from map(_group, [f"lab_{lab.team}", f"topology_{lab.topology}", f"stage_{lab.stage}"])
    yield from (_group(f"role_{role}") for role in node.roles)


def _group(name: str) -> str:
    """Return a name that Ansible takes for a group: letters, digits and underscores."""
    return name.replace("-", "_")


def _flat(value: object) -> bool:
    """Whether a variable can stand on a host's line: the INI plugin reads no lists and mappings from a quoted word."""
    return isinstance(value, str)
