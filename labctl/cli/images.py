"""Commands about base images."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from labctl.cli import options
from labctl.cli.group import Group
from labctl.cli.show import show
from labctl.state import Home


def _complete_recipe(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from labctl.images import recipe

    return [CompletionItem(name) for name in recipe.names() if name.startswith(incomplete)]


def _complete_extra(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from labctl.images import recipe

    known = recipe.additions(ctx.params.get("name") or "openstack")
    return [CompletionItem(name, help=title) for name, title in known.items() if name.startswith(incomplete)]


@click.group("image", cls=Group)
def image_command() -> None:
    """List, build, import and remove base images."""


@image_command.command("list")
@options.host
@options.output
@options.common
def list_(host: str | None, output: str) -> None:
    """List the host's base images, and the recipes that can be built."""
    from labctl.images import recipe
    from labctl.report import images as report
    from labctl.site import site

    with site.opened(Home(), host) as place:
        images = list(place.images.images().values())
    buildable = [name for name in recipe.names() if name not in {image.manifest.name for image in images}]
    document = [image.manifest.document() | {"volume": image.volume} for image in images]
    show(output, document=document, text=report.lines(images, buildable))


@image_command.command("build")
@click.argument("name", metavar="RECIPE", shell_complete=_complete_recipe)
@click.option(
    "--with",
    "extras",
    metavar="LAYER",
    multiple=True,
    shell_complete=_complete_extra,
    help="Add packages that only some labs need, swift for instance; may be repeated.",
)
@click.option("--mirror", metavar="URL", help="Where packages come from. Default: this machine's own apt sources.")
@click.option("--if-missing", is_flag=True, help="Do nothing if the host has an image of that name and layers.")
@options.host
@options.common
def build(name: str, extras: tuple[str, ...], mirror: str | None, if_missing: bool, host: str | None) -> None:
    """Build a base image from its recipe.

    The image is built on this machine, as root and without a virtual machine, then uploaded to the host.
    """
    from labctl.cli.labs import working
    from labctl.lab import images
    from labctl.site import site

    home = Home()
    with site.opened(home, host) as place:
        there = place.images.images().get(name) if if_missing else None
        if there is not None and set(extras) <= set(there.manifest.extras):
            options.say(f"The host has image {name} already.")
            return
        with working(home, place) as work:
            made = images.build(work, name, mirror=mirror, extras=extras)
    for image in made:
        click.echo(f"Image {image.manifest.name} is ready: {image.volume}")


@image_command.command("import")
@click.argument("name")
@click.argument("source", metavar="FILE|URL")
@click.option("--sha256", metavar="HEX", help="The file's SHA-256; required for a URL.")
@options.host
@options.common
def import_(name: str, source: str, sha256: str | None, host: str | None) -> None:
    """Import a foreign cloud image: any bootable qcow2 or raw disk.

    The file is not trusted: backing files, data files, encryption, other formats and absurd sizes are refused.
    """
    from labctl.cli.labs import working
    from labctl.lab import images
    from labctl.site import site

    home = Home()
    with site.opened(home, host) as place, working(home, place) as work:
        image = images.import_(work, name, source, sha256=sha256)
    click.echo(f"Image {name} is ready: {image.volume}")


@image_command.command("remove")
@click.argument("name")
@options.host
@options.common
def remove(name: str, host: str | None) -> None:
    """Remove a base image that no lab uses."""
    from labctl.lab import images
    from labctl.site import site

    home = Home()
    options.set_aside(home)
    with site.opened(home, host) as place:
        images.remove(home, place, name)
    options.say(f"Image {name} is removed.")
