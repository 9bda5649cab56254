"""Which networks this machine is in: its own addresses with their prefix lengths, as far as the system tells.

Comes out: ipaddress interfaces, without loopback and link-local ones. Sends nothing to anybody; never raises for a
system that tells less.
"""

import ipaddress
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

_SIOCGIFADDR = 0x8915  # Linux, netdevice(7)
_SIOCGIFNETMASK = 0x891B


def own_interfaces() -> list[Interface]:
    """The addresses at which other machines may reach this one, the one used for the default route first."""
    found: dict[ipaddress.IPv4Address | ipaddress.IPv6Address, Interface] = {}
    for interface in (*_linux_ipv4(), *_linux_ipv6(), *_default_route()):
        address = interface.ip
        if not (address.is_loopback or address.is_link_local or address.is_unspecified):
            found.setdefault(address, interface)
    first = {interface.ip for interface in _default_route()}
    return sorted(found.values(), key=lambda interface: (interface.ip not in first, interface.version))


def place_for_others(host: str) -> str:
    """This machine's own name where that leads others here too, as far as can be told; else its first address.

    Many systems know their own name as one of loopback, and nobody else knows it at all.
    """
    try:
        known = {ipaddress.ip_address(str(place[0])) for *_, place in socket.getaddrinfo(host, None)}
    except (OSError, UnicodeError):
        known = set()
    own = [interface.ip for interface in own_interfaces()]
    return host if not own or known & {*own} else str(own[0])


def is_ours(host: str) -> bool:
    """Whether this numeric address belongs to this machine."""
    address = ipaddress.ip_address(host)
    return address.is_loopback or any(interface.ip == address for interface in own_interfaces())


def network_of(host: str) -> Interface | None:
    """The interface whose network this numeric address is in, if any: then no router is in between."""
    address = ipaddress.ip_address(host)
    return next((each for each in own_interfaces() if address in each.network), None)


def _linux_ipv4() -> Iterator[Interface]:
    try:
        import fcntl
    except ImportError:
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                address, mask = (
                    socket.inet_ntoa(fcntl.ioctl(probe, code, request)[20:24])
                    for code in (_SIOCGIFADDR, _SIOCGIFNETMASK)
                )
            except OSError:
                continue  # an interface without an IPv4 address, or another system's numbers
            yield ipaddress.IPv4Interface(f"{address}/{mask}")


def _linux_ipv6() -> Iterator[Interface]:
    try:
        lines = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        address, _, prefix, *_ = line.split()
        yield ipaddress.IPv6Interface((int(address, 16), int(prefix, 16)))


def _default_route() -> Iterator[Interface]:
    # Connecting a datagram socket sends nothing; it makes the system choose the address it would send from.
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((elsewhere, 9))
                yield ipaddress.ip_interface(probe.getsockname()[0])
        except OSError:
            continue
