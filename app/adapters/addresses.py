"""Which addresses files may be fetched from: public ones, and those on the operator's allow-list."""

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Sequence

from app import logs
from app.adapters.fetch_errors import AddressRefused, LookupFailed
from app.network_settings import Allowlist

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolver = Callable[[str, int], Sequence[str]]

log = logs.get(__name__)

NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}  # macOS has only one of them

# All IPv6 addresses routed on the Internet are in 2000::/3. Outside it are loopback, link-local, site-local, unique
# local and multicast addresses, and the forms that carry an IPv4 address: ::a.b.c.d, ::ffff:a.b.c.d, NAT64.
_ROUTED_V6 = ipaddress.IPv6Network("2000::/3")

# Python's is_global is True for several of these (3.11: multicast, 192.0.0.8, 192.88.99.0/24, 2002::/16), so the list is
# complete. 168.63.129.16 looks public, but inside Azure it is the host of the machine.
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "2001::/23",
        "2001:db8::/32",
        "2002::/16",
        "3fff::/20",
    )
)


def is_public(address: IPAddress) -> bool:
    """True if this address means the same machine everywhere on the Internet."""
    if address.version == 6 and address not in _ROUTED_V6:
        return False
    return address.is_global and not any(address in network for network in _NOT_PUBLIC)


def system_resolver(host: str, port: int) -> list[str]:
    """All addresses of `host` according to this machine's resolver."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


class AddressRules:
    """Resolves a host to the addresses that connections may be made to, or refuses the host."""

    def __init__(self, allowlist: Allowlist, resolve: Resolver = system_resolver) -> None:
        self._hosts = frozenset(host.removesuffix(".") for host in allowlist.hosts)
        self._networks = allowlist.networks
        self._resolve = resolve

    def admit(self, host: str, port: int, timeout_s: float) -> tuple[IPAddress, ...]:
        """Resolve `host` once. Connect to one of the returned addresses; do not resolve the name again.

        Raises AddressRefused if any address is not public: a host with one private address is an attack or a mistake.
        """
        addresses = self._addresses(host, port, timeout_s)
        if host in self._hosts:
            return addresses
        unlisted = [each for each in addresses if not any(each in network for network in self._networks)]
        if not all(is_public(address) for address in unlisted):
            raise _refused(host, "It has an address that is not public.")
        # Services on ports below 1024 might misread a GET as a command; only two of these ports are for web servers.
        if unlisted and port < 1024 and port not in (80, 443):
            raise AddressRefused(f"Port {port} is not allowed for HTTP: use 80, 443, or a port from 1024 up.")
        return addresses

    def _addresses(self, host: str, port: int, timeout_s: float) -> tuple[IPAddress, ...]:
        try:
            return (ipaddress.ip_address(host),)
        except ValueError:
            answers = _resolve_within(self._resolve, host, port, timeout_s)
        try:
            addresses = tuple(dict.fromkeys(ipaddress.ip_address(answer) for answer in answers))
        except ValueError:
            raise _refused(host, "It has an invalid address.") from None
        if not addresses:
            raise _refused(host, "It has no address.")
        return addresses


def _resolve_within(resolve: Resolver, host: str, port: int, timeout_s: float) -> Sequence[str]:
    """Resolve on a thread, which is abandoned after the time-out, since resolvers have no time-out of their own."""
    answers: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

    def look_up() -> None:
        try:
            answers.put(resolve(host, port))
        except (OSError, ValueError) as error:
            answers.put(error)

    threading.Thread(target=look_up, name="resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        raise LookupFailed(f"Looking up {host} took too long.") from None
    if not isinstance(answer, Exception):
        return answer
    if isinstance(answer, socket.gaierror) and answer.errno in NO_SUCH_NAME:
        raise _refused(host, "There is no host of this name, or it has no address.") from answer
    raise LookupFailed(f"The address of {host} could not be looked up.") from answer


def _refused(host: str, reason: str) -> AddressRefused:
    """The same sentence whatever the reason: the difference would tell which names exist in this network."""
    log.warning("A host is not connected to", action="fetch.refused", host=host, reason=reason)
    return AddressRefused(f"{host} is not at a public address, so no request is sent to it.")
