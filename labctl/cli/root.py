"""The command `labctl`: its groups of commands, loaded when they are asked for."""

from __future__ import annotations

import importlib

import click

from labctl import __version__
from labctl.cli.group import Group

# Command to the module that holds it and one line of help. `labctl --help` and completion load no command at all; a
# unit test compares the lines with the commands' own.
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Labs": {
        "create": ("labs", "Create labs, or complete them."),
        "plan": ("labs", "Show what create would do."),
        "standby": ("standby", "Keep labs that wait for teams: forks that are ready, and paused."),
        "list": ("views", "List the labs."),
        "install": ("cloud", "Install OpenStack on a lab, or continue an installation."),
        "status": ("views", "Show a lab: its nodes, states and addresses."),
        "start": ("power", "Power nodes on and wait until they are ready."),
        "stop": ("power", "Power nodes off."),
        "snapshot": ("snapshots", "Save a lab as it is, and go back to it."),
        "check": ("checks", "Test labs, and name the suspects where something fails."),
        "explain": ("checks", "Say what a check tests."),
        "sabotage": ("sabotage", "Break labs realistically and reversibly, for teams to repair."),
        "round": ("rounds", "Play rounds: broken labs, a clock, and points."),
        "report": ("rounds", "Record what a team says is broken."),
        "hint": ("sabotage", "Print the next of three hints about a fault, and record that it was taken."),
        "score": ("scores", "Check the labs of a round, and print how many points each team has."),
        "reset": ("labs", "Give nodes back as they were when the lab was made."),
        "catchup": ("catchup", "Give labs the state after a chapter, from a golden set."),
        "adopt": ("adopt", "Write new records for labs whose record was lost."),
        "destroy": ("destroy", "Remove labs completely."),
    },
    "Inside a lab": {
        "ssh": ("reach", "Log in to a node, or run a command there."),
        "console": ("reach", "Open a node's serial console."),
        "enter": ("reach", "Open a shell on this machine, inside the lab's networks."),
        "forward": ("reach", "Open ports of a lab on this machine until Ctrl-C."),
        "openrc": ("cloud", "Print the variables with which a shell logs in to a lab's cloud."),
        "logs": ("cloud", "List the logs of the installer's steps, the newest last, or print one."),
        "use": ("reach", "Choose the team for commands that name none."),
    },
    "For a classroom": {
        "handout": ("paper", "Write a sheet for each team, to print."),
        "rehearse": ("rehearse", "Rehearse a workshop's day on this host: GO or NO-GO, and a runbook."),
        "serve": ("serve", "Open the classroom's doors, by which teams come in, until Ctrl-C."),
        "access": ("access", "Say who may come in by the classroom's door, and who came."),
        "notice": ("notices", "Tell teams something on their web pages, or list what they were told."),
        "events": (
            "events",
            "Print what happened in rounds and whose hands went up, or post it to a web address.",
        ),
        "ssh-config": ("exports", "Print an OpenSSH configuration for labs: ssh team01-db-node."),
        "inventory": (
            "exports",
            "Print the nodes of labs as an inventory for Ansible.",
        ),
    },
    "Topologies and images": {
        "topology": ("topologies", "List, show and check topologies."),
        "diagram": ("paper", "Draw a team's lab or a topology, as SVG."),
        "init": ("topologies", "Print a topology to edit."),
        "image": ("images", "List, build, import and remove base images."),
        "golden": ("golden", "Bake, capture, move and remove golden sets, from which new labs are made."),
    },
    "This machine": {
        "doctor": ("machine", "Say whether labs can run here, and what is missing."),
        "host": ("machine", "Run a private libvirt host on this machine."),
        "completion": ("machine", "Print the shell's completion script."),
    },
}

_COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


class _Root(Group):
    """A group whose commands are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, _ = _COMMANDS[name]
        command: click.Command = getattr(
            importlib.import_module(f"labctl.cli.{module}"), f"{name.replace('-', '_')}_command"
        )
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, line) for name, (_, line) in commands.items()], col_max=14)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[click.shell_completion.CompletionItem]:
        return [
            click.shell_completion.CompletionItem(name, help=line)
            for name, (_, line) in _COMMANDS.items()
            if name.startswith(incomplete)
        ]


@click.group(
    cls=_Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Begin with: labctl doctor. Every command explains itself with --help.",
)
@click.version_option(__version__, message="labctl %(version)s")
def root() -> None:
    """Give every workshop team its own OpenStack lab on libvirt."""
