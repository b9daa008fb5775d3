"""Leases management subnets: the lowest free one of a pool."""

from __future__ import annotations

from collections.abc import Iterable

from netaddr import IPNetwork

from labctl.errors import CapacityError, InputError


def lease(pool: IPNetwork, prefix: int, taken: Iterable[IPNetwork], *, own: Iterable[IPNetwork] = ()) -> IPNetwork:
    """Return the lowest subnet of the pool that overlaps nothing.

    Args:
        pool: the range to cut from.
        prefix: length of the subnet's mask.
        taken: other labs' subnets, the host's routes, foreign networks; larger ones than a subnet too.
        own: the subnets inside the topology.

    Raises:
        CapacityError: every subnet of the pool overlaps something; the numbers are in the message.
        InputError: a subnet of that length does not fit into the pool.
    """
    if not pool.prefixlen <= prefix <= 30:
        raise InputError(
            f"a /{prefix} does not fit into the pool {pool}",
            remedy=f"In the host file, set mgmt.prefix to {max(pool.prefixlen, 16)} or more, or a larger mgmt.pool.",
        )
    foreign, inner = _spans(taken), _spans(own)
    size = 2 ** (32 - prefix)
    first = pool.first
    while first + size - 1 <= pool.last:
        end = _overlap(first, first + size - 1, foreign) or _overlap(first, first + size - 1, inner)
        if end is None:
            return IPNetwork((first, prefix))
        # Go on behind what is in the way, at the next place where a subnet can begin.
        first = max(first + size, -(-(end + 1) // size) * size)
    raise _exhausted(pool, prefix, foreign, inner)


def overlaps(one: IPNetwork, other: IPNetwork) -> bool:
    """Tell whether two networks share an address."""
    return bool(one.first <= other.last and other.first <= one.last)


def _spans(networks: Iterable[IPNetwork]) -> list[tuple[int, int]]:
    return [(network.first, network.last) for network in networks if network.version == 4]


def _overlap(first: int, last: int, spans: list[tuple[int, int]]) -> int | None:
    """Return where the furthest span that overlaps first..last ends; None when none does."""
    return max((end for start, end in spans if start <= last and first <= end), default=None)


def _exhausted(
    pool: IPNetwork, prefix: int, foreign: list[tuple[int, int]], inner: list[tuple[int, int]]
) -> CapacityError:
    def within(spans: list[tuple[int, int]]) -> int:
        return sum(start <= pool.last and pool.first <= end for start, end in spans)

    count = 2 ** (prefix - pool.prefixlen)
    return CapacityError(
        f"no management subnet is free: all {count} subnets /{prefix} of {pool} are in use",
        details=f"In the pool lie {within(foreign)} networks of other labs, routes and foreign networks, "
        f"and {within(inner)} of the topology's own subnets.",
        remedy="Destroy a lab that is not needed (labctl list), or set mgmt.pool in the host file to a larger range.",
    )
