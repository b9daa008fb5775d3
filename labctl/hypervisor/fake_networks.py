"""The fake of `networks`."""

from __future__ import annotations

import contextlib
import xml.etree.ElementTree as ET
from uuid import UUID

import libvirt

from labctl.errors import NotFoundError
from labctl.hypervisor import fake_xml
from labctl.hypervisor.facts import NetworkFacts
from labctl.hypervisor.fake_link import FakeLink
from labctl.hypervisor.fake_objects import FakeNetwork, Refusal
from labctl.hypervisor.listing import Listing


class FakeNetworks(FakeLink):
    """The networks of a fake host; see `Networks`."""

    def networks(self) -> Listing[NetworkFacts]:
        """Return every network by name."""
        with self._does("list the networks"):
            found = {network.facts.name: network.facts for network in self._host.networks.values()}
            return Listing(found, found.get, uuids={facts.uuid: name for name, facts in found.items()})

    def create_network(self, document: str) -> None:
        """Define a network and start it."""
        with self._does("define a network"):
            root = fake_xml.parsed(document, "network")
            fake_xml.identified(root)
            networks = self._host.networks
            if root.find("bridge") is None:
                ET.SubElement(root, "bridge", name=f"virbr{len(networks)}")
            facts = NetworkFacts.from_xml(fake_xml.text(root), active=False)
            fake_xml.check_clash(
                "network", facts.name, facts.uuid, {each.facts.name: uuid for uuid, each in networks.items()}
            )
            for uuid, other in networks.items():
                if other.facts.bridge == facts.bridge and uuid != facts.uuid:
                    message = f"internal error: bridge name '{facts.bridge}' already in use."
                    raise Refusal(libvirt.VIR_ERR_INTERNAL_ERROR, message)
            known = networks.get(facts.uuid)
            if known is None or not known.active:  # what runs stays as it was until it is started again
                networks[facts.uuid] = FakeNetwork(fake_xml.text(root), facts, known.starts if known else 0)
        self._start_network(networks[facts.uuid])

    def start_network(self, uuid: UUID) -> None:
        """Start a network."""
        with self._does(f"find network {uuid}"):
            network = self._network(uuid)
        self._start_network(network)

    def remove_network(self, uuid: UUID) -> None:
        """Stop and undefine a network."""
        with contextlib.suppress(NotFoundError):
            with self._does(f"remove network {uuid}"):
                self._host.stop_network(self._network(uuid))
            with self._does(f"remove network {uuid}"):
                self._network(uuid)
                del self._host.networks[uuid]

    def plugged(self, uuid: UUID) -> set[tuple[UUID, str]] | None:
        """Return which cards are plugged into a network that runs, by domain and MAC."""
        with self._does(f"ask network {uuid} for its ports"):
            name = self._network(uuid).facts.name
            guests = [(key, domain.guest) for key, domain in self._host.domains.items() if domain.guest]
            return {
                (key, mac) for key, guest in guests for mac, where in self._host.plugged(guest).items() if where == name
            }

    def _start_network(self, network: FakeNetwork) -> None:
        with self._does(f"start network {network.facts.name}"):
            if not network.active:
                self._host.start_network(network)

    def _network(self, uuid: UUID) -> FakeNetwork:
        if uuid not in self._host.networks:
            message = f"Network not found: no network with matching uuid '{uuid}'"
            raise Refusal(libvirt.VIR_ERR_NO_NETWORK, message)
        return self._host.networks[uuid]
