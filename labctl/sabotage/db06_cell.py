"""DB-06: the row of Nova's cell is wrong."""

from __future__ import annotations

from random import Random

from labctl.changes import Value
from labctl.sabotage.fault import Break, Drawn, Scene, Typed, fault
from labctl.sabotage.services import BASE, SERVICES, listed, restart

_VARIANTS = {
    "nova schema": ("database_connection", r"/nova(\?|$)", r"/nova_cell1\1", ("C03:nova", "C04:services")),
    "nova vhost": ("transport_url", r"/(\?|$)", r"/nova\1", ("C10",)),
    "nova disabled": ("disabled", "0", "1", ("C10",)),
}
_BACK = {
    "nova schema": "REPLACE(database_connection, '/nova_cell1', '/nova')",
    "nova vhost": "REPLACE(transport_url, ':5672/nova', ':5672/')",
    "nova disabled": "0",
}
_WHAT = {
    "nova schema": "its schema is nova_cell1, which there is not",
    "nova vhost": "its virtual host is nova, which there is not",
    "nova disabled": "the cell is disabled",
}


@fault(
    "DB-06",
    "The files are right, and Nova is wrong",
    level=3,
    lasts="data",
    group="cell",
    red=("C03:nova", "C04:services", "C10"),
    green=(*BASE,),
    hints=(
        "Every file is right.",
        "Nova keeps one more URL of its database, and one more of the broker. Where?",
        "`nova-manage cell_v2 list_cells --verbose`",
    ),
    stages=("installed",),
    variants=_VARIANTS,
)
def draw(scene: Scene, random: Random) -> Drawn:
    """Change the row of Nova's cell: another schema, another virtual host, or disabled."""
    variant, (column, find, put, red) = scene.choose(random, _VARIANTS)
    node, units = scene.nodes("nova")[0].name, SERVICES["nova"].units
    database = scene.nodes("mariadb")[0].name
    back = _BACK[variant]
    sql = f"UPDATE nova_api.cell_mappings SET {column} = {back} WHERE name = 'cell1'"  # noqa: S608 - no foreign words
    return Drawn(
        node=node,
        service="nova",
        variant=variant,
        red=red,
        green=(*BASE, *listed(scene, "nova")),
        breaks=(
            Break(
                node=database,
                change=Value(name=f"nova_api cell_mappings name cell1 {column}", find=find, put=put),
            ),
        ),
        explanation=f"The row cell1 of nova_api.cell_mappings has another {column}: {_WHAT[variant]}.",
        repair=(
            Typed(node=database, line=f'mariadb -e "{sql}"'),
            Typed(node=node, line=restart(*units)),
        ),
    )
