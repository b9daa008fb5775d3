"""A group of commands that says which of them may have been meant."""

from __future__ import annotations

import click


class Group(click.Group):
    """A group that suggests the nearest name for one that it has not."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the first argument names."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as exc:
            import difflib

            names = self.list_commands(ctx)
            near = difflib.get_close_matches(args[0], names, n=1)
            hint = f" Did you mean {near[0]}?" if near else f" There are: {', '.join(names)}."
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx) from exc
