"""Prints documents as JSON or YAML, and texts as they are."""

from __future__ import annotations

import json
from typing import Any

import click


def show(output: str, *, document: Any, text: str) -> None:
    """Print in the way that --output names: `document` as json or yaml, or `text`."""
    if output == "json":
        click.echo(json.dumps(document, indent=2))
    elif output == "yaml":
        import yaml

        click.echo(yaml.safe_dump(document, sort_keys=False), nl=False)
    else:
        click.echo(text)
