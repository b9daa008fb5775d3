"""The calls to libvirt about networks."""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET
from uuid import UUID

import libvirt

from labctl.errors import NotFoundError
from labctl.hypervisor.facts import NetworkFacts
from labctl.hypervisor.link import Link
from labctl.hypervisor.listing import Listing
from labctl.hypervisor.translate import translated


class Networks(Link):
    """The networks of a host."""

    def networks(self) -> Listing[NetworkFacts]:
        """Return every network by name."""
        with translated("list the networks"):
            every = {network.name(): network for network in self._connection.listAllNetworks()}
            running = self._connection.listAllNetworks(libvirt.VIR_CONNECT_LIST_NETWORKS_ACTIVE)
        active = {network.UUID() for network in running}

        def read(name: str) -> NetworkFacts | None:
            with contextlib.suppress(NotFoundError), translated("read a network"):
                return NetworkFacts.from_xml(every[name].XMLDesc(), active=every[name].UUID() in active)
            return None

        return Listing(every, read, uuids={UUID(bytes=network.UUID()): name for name, network in every.items()})

    def create_network(self, document: str) -> None:
        """Define the network of an XML document and start it; one that is defined already is only started."""
        with translated("define a network"):
            network = self._connection.networkDefineXML(document)
        self._start(network, f"start network {network.name()}")

    def start_network(self, uuid: UUID) -> None:
        """Start a network; nothing happens when it runs."""
        with translated(f"find network {uuid}"):
            network = self._connection.networkLookupByUUIDString(str(uuid))
        self._start(network, f"start network {network.name()}")

    def remove_network(self, uuid: UUID) -> None:
        """Stop and undefine a network; nothing happens when it is gone."""
        with contextlib.suppress(NotFoundError), translated(f"remove network {uuid}"):
            network = self._connection.networkLookupByUUIDString(str(uuid))
            if network.isActive():
                network.destroy()
            network.undefine()

    def plugged(self, uuid: UUID) -> set[tuple[UUID, str]] | None:
        """Return which cards are plugged into a network that runs, by domain and MAC.

        When a network is stopped, all cards are unplugged. They stay unplugged when it is started again.

        Returns:
            None where the driver does not tell.
        """
        found = set()
        with translated(f"ask network {uuid} for its ports"):
            network = self._connection.networkLookupByUUIDString(str(uuid))
            try:
                ports = network.listAllPorts()
            except libvirt.libvirtError as exc:
                if exc.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
                    return None
                raise
            for port in ports:
                with contextlib.suppress(NotFoundError), translated("read a network's port"):
                    document = ET.fromstring(port.XMLDesc())  # noqa: S314 - libvirt's own words
                    found.add((UUID(document.findtext("owner/uuid", "")), mac(document)))
        return found


def mac(device: ET.Element) -> str:
    """Return the MAC of a card or a port."""
    address = device.find("mac")
    return address.get("address", "") if address is not None else ""
