"""Makes a zone in Designate, with addresses in it, as its owner; runs in a node, with openstacksdk."""

from __future__ import annotations

from typing import Any


def main(data: dict[str, Any]) -> None:
    """Make what is missing of the zone.

    Args:
        data: `login` (keystoneauth's options), `region`; `name`, `email`, `ttl` (seconds) of the zone; `addresses` by
            absolute name.
    """
    import openstack  # type: ignore[import-not-found,unused-ignore]  # the node's

    names = openstack.connection.Connection(auth=data["login"], region_name=data["region"], interface="internal").dns
    zone = next((zone for zone in names.zones() if zone.name == data["name"]), None)
    if zone is None:
        zone = names.create_zone(name=data["name"], email=data["email"], ttl=data["ttl"])
        print(f"made zone: {zone.name}", flush=True)  # noqa: T201 - the answer
    known = {record.name for record in names.recordsets(zone)}
    for name, address in data["addresses"].items():
        if name not in known:
            names.create_recordset(zone, name=name, type="A", records=[address])
            print(f"made address: {name}", flush=True)  # noqa: T201 - the answer
