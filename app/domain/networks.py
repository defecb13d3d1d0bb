"""The network that an address counts as in limits."""

from __future__ import annotations

import ipaddress
from functools import lru_cache


@lru_cache(4096)
def network(address: str) -> str:
    """What one client holds for certain: an IPv4 address, or of IPv6 a network of 64 bits, which is given out whole.

    What is no address, such as the name of a unix socket, stands for itself.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
