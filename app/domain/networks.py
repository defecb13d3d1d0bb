"""Which network an address counts as in limits."""

import ipaddress
from functools import lru_cache


@lru_cache(4096)
def network(address: str) -> str:
    """What belongs to one client: an IPv4 address, or the whole /64 network of an IPv6 address.

    Text that is not an address, such as the name of a unix socket, is returned unchanged.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    return str(parsed.ipv4_mapped or ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
