"""Says what a lab's packets may do on their host. Pure."""

from __future__ import annotations

BRIDGES = "lab"
"""How the names of all bridges of labs begin."""

_BRIDGED = "0x00100000"

_RULES = """\
# labctl: guests of labs get DHCP and DNS from their own network's address, and nothing else of this host.
# Load with: nft -f FILE. Loading it again changes nothing; remove with:
# nft delete table inet labctl; nft delete table bridge labctl
table bridge labctl
delete table bridge labctl
table bridge labctl {
    chain forward {
        # Frames between ports of one bridge. Where br_netfilter is loaded (Docker loads it), the kernel shows them to
        # the forward chain below as if they were routed: the mark tells them apart. Ports of guests are vnet*, those
        # of labctl enter are lbe*.
        type filter hook forward priority -10; policy accept;
        iifname != "vnet*" iifname != "lbe*" accept
        oifname != "vnet*" oifname != "lbe*" accept
        meta mark set meta mark or @BRIDGED@
    }
}
table inet labctl
delete table inet labctl
table inet labctl {
    chain input {
        # Before the chains of iptables (priority 0): what is dropped here is dropped, whatever those accept.
        type filter hook input priority -10; policy accept;
        iifname != "@BRIDGES@*" accept
        ct state established,related accept
        # A packet may only be for the address of the bridge that it came in by (or a broadcast there).
        fib daddr . iif type != { local, broadcast, multicast } drop
        udp dport { 53, 67 } accept
        tcp dport 53 accept
        drop
    }
    chain forward {
        type filter hook forward priority -10; policy accept;
        iifname != "@BRIDGES@*" oifname != "@BRIDGES@*" accept
        meta mark and @BRIDGED@ == @BRIDGED@ accept
        ct state established,related accept
        drop
    }
}
"""


def ruleset() -> str:
    """Return the nftables rules for the network namespace in which the bridges of labs are."""
    return _RULES.replace("@BRIDGES@", BRIDGES).replace("@BRIDGED@", _BRIDGED)
