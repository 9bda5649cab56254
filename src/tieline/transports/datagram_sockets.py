"""UDP sockets, every option by name. Errors are AddressErrors and ConfigErrors that say what to do.

A host name is looked up: call these in a thread when the host may be one.
"""

import errno
import ipaddress
import socket
import struct
import sys

import msgspec

from tieline.errors import AddressError, ConfigError, DialFailed
from tieline.transports.address import Address, parse
from tieline.transports.endpoint import Place
from tieline.transports.sockets import on_one_port, own_places

# Linux delivers to every socket on the port what any program on the machine has joined, unless told otherwise.
_MULTICAST_ALL = {socket.AF_INET: (socket.IPPROTO_IP, 49), socket.AF_INET6: (socket.IPPROTO_IPV6, 29)}


class DatagramOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a datagram socket is set to."""

    broadcast: bool = False
    "Whether it may send to broadcast addresses."
    multicast: str = ""
    "A group to receive from, such as 239.1.2.3 or ff02::123. Several programs of a machine may, on the same port."
    interface: str = ""
    "For multicast: a network interface, by its name (eth0) or by its IPv4 address. Empty: the system chooses."
    ttl: int | None = None
    "Networks that a multicast datagram may cross; 1, the system's default, keeps it on this one."
    loop: bool | None = None
    "Whether what is sent to a group is received on this machine too; the system's default is yes."
    send_buffer: int | None = None
    "Bytes in the kernel; None is the system's default."
    receive_buffer: int | None = None
    "The same for what has come and is not read yet. The kernel drops what does not fit, without a word."

    def apply(self, sock: socket.socket) -> None:
        """Before bind()."""
        if self.send_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer)
        if self.receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, self.broadcast)
        if self.interface:
            self._send_by(sock)
        v6 = sock.family == socket.AF_INET6
        level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
        if self.ttl is not None:
            sock.setsockopt(level, socket.IPV6_MULTICAST_HOPS if v6 else socket.IP_MULTICAST_TTL, self._hops())
        if self.loop is not None:
            sock.setsockopt(level, socket.IPV6_MULTICAST_LOOP if v6 else socket.IP_MULTICAST_LOOP, self.loop)

    def group(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
        """The group as an address. Raises ConfigError when it is none."""
        if not self.multicast:
            return None
        try:
            group = ipaddress.ip_address(self.multicast)
        except ValueError:
            group = None
        if group is None or not group.is_multicast:
            raise ConfigError(
                "multicast", f"{self.multicast!r} is not a group; give one such as 239.1.2.3 or ff02::123"
            )
        return group

    def join(self, sock: socket.socket, group: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
        """After bind()."""
        if sys.platform == "linux":
            sock.setsockopt(*_MULTICAST_ALL[socket.AddressFamily(sock.family)], 0)
        if group.version == 6:
            member = group.packed + struct.pack("@I", self._index())
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, self._membership(group.packed))

    def _send_by(self, sock: socket.socket) -> None:
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, self._index())
        else:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, self._membership(bytes(4)))

    def _membership(self, group: bytes) -> bytes:
        """A `struct ip_mreqn`: the group, the interface's address, or its index."""
        try:
            return struct.pack("@4s4si", group, socket.inet_aton(self.interface or "0.0.0.0"), 0)
        except OSError:
            return struct.pack("@4s4si", group, bytes(4), self._index())

    def _index(self) -> int:
        if not self.interface:
            return 0
        try:
            return socket.if_nametoindex(self.interface)
        except OSError:
            names = ", ".join(name for _, name in socket.if_nameindex())
            raise ConfigError("interface", f"there is no {self.interface!r} here; there are {names}") from None

    def _hops(self) -> int:
        if not 0 <= (self.ttl or 0) <= 255:
            raise ConfigError("ttl", f"is {self.ttl}; it must be from 0 to 255")
        return self.ttl or 0


PLAIN = DatagramOptions()


def bound(address: Address, options: DatagramOptions = PLAIN) -> list[socket.socket]:
    """Non-blocking sockets at this address, one for each IP version it has, all on one port.

    An empty host is every address: one socket for both versions where the system has that. The port can be used again
    as soon as the socket is closed, since datagrams leave nothing behind; two programs never share it (SO_REUSEADDR
    would let one steal the other's), unless they receive from a multicast group.
    """
    group = options.group()
    version = socket.AF_UNSPEC if group is None else socket.AF_INET6 if group.version == 6 else socket.AF_INET
    taken: set[int] = set()

    def bind(family: int, place: Place) -> socket.socket:
        sock = _bound(family, place, address.host, options)
        taken.add(family)
        return sock

    try:
        places = own_places(address.host, address.port, socket.SOCK_DGRAM, version)
        of_other_versions = (each for each in places if each[0] not in taken)
        return on_one_port(of_other_versions, address.port, bind)
    except OSError as error:
        raise _cannot_bind(address, error) from error


def towards(remote: Address, local: Address | None, options: DatagramOptions = PLAIN) -> tuple[socket.socket, Place]:
    """A non-blocking socket to send to `remote` with, and the place to send to.

    It is connected, so that it hears from there only, and hears that nobody listens; unless `remote` is a multicast
    group or broadcast address, whose members answer from addresses of their own. Raises DialFailed.
    """
    if not remote.host:
        raise AddressError(str(remote), "names no host to send to")
    error: OSError | None = None
    try:
        for family, _, _, _, place in socket.getaddrinfo(remote.host, remote.port, type=socket.SOCK_DGRAM):
            try:
                return _towards(family, place, local, options), place
            except OSError as refused:
                error = error or refused
    except socket.gaierror as unknown:
        raise DialFailed(str(remote), f"the name {remote.host} is not known here; use an IP address") from unknown
    if error is not None and error.errno == errno.EACCES:
        raise ConfigError("broadcast", f"{remote.where} is a broadcast address; give broadcast=True") from error
    raise DialFailed(str(remote), (error and error.strerror) or "no way there") from error


def place_of(text: str, family: int) -> Place:
    """Where `udp://host:port` is, for a socket of this family. Raises AddressError and DialFailed."""
    address = parse(text, scheme="udp")
    flags = socket.AI_V4MAPPED if family == socket.AF_INET6 else 0
    try:
        return socket.getaddrinfo(address.host, address.port, family, socket.SOCK_DGRAM, 0, flags)[0][4]
    except socket.gaierror as unknown:
        raise DialFailed(text, f"{address.host or 'no host'} is not known here") from unknown


def numeric(text: str, family: int) -> Place | None:
    """The same without waiting, when the host is an IP address; else None."""
    address = parse(text, scheme="udp")
    try:
        ipaddress.ip_address(address.host)
    except ValueError:
        return None
    return place_of(text, family)


def _bound(family: int, place: Place, host: str, options: DatagramOptions) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, bool(host))
        if options.multicast:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        options.apply(sock)
        sock.bind(place)
        group = options.group()
        if group is not None:
            options.join(sock, group)
    except BaseException:  # whatever it was: nobody else has the socket yet
        sock.close()
        raise
    return sock


def _towards(family: int, place: Place, local: Address | None, options: DatagramOptions) -> socket.socket:
    local = local or Address(scheme="udp", port=0)
    any_of_ours = "::" if family == socket.AF_INET6 else "0.0.0.0"
    own = socket.getaddrinfo(local.host or any_of_ours, local.port, family, socket.SOCK_DGRAM)[0][4]
    sock = _bound(family, own, "this version only", options)
    try:
        if not (options.broadcast or ipaddress.ip_address(str(place[0]).partition("%")[0]).is_multicast):
            sock.connect(place)
    except BaseException:  # whatever it was: nobody else has the socket yet
        sock.close()
        raise
    return sock


def _cannot_bind(address: Address, error: OSError) -> AddressError:
    where = str(address)
    if error.errno == errno.EADDRINUSE:
        return AddressError(where, f"udp port {address.port} is in use; stop that program or take another port")
    if error.errno in (errno.EACCES, errno.EPERM):
        return AddressError(where, f"this user may not listen on udp port {address.port}; take one above 1023")
    if error.errno == errno.EADDRNOTAVAIL:
        return AddressError(where, f"{address.host} is not an address of this machine; leave it out for all it has")
    if isinstance(error, socket.gaierror):
        return AddressError(where, f"the name {address.host} is not known here; use an IP address")
    if error.errno == errno.ENODEV:
        return AddressError(where, "no network interface for this group; name one with interface=")
    return AddressError(where, f"cannot listen there: {error.strerror or error}")
