"""Listening TCP sockets, and the socket options of all streams by name. Errors are AddressErrors that say what to do.

All of it returns at once, except that a host *name* to listen on is looked up: call `listen_tcp` with one in a thread.
"""

import errno
import fcntl
import os
import socket
import struct
import sys
import termios
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress

import msgspec

from tieline.errors import AddressError
from tieline.transports.endpoint import Place

BACKLOG = 1024
_TCP_INFO_RTT = 68  # offset of tcpi_rtt in Linux's struct tcp_info: 8 octets, then 15 u32 before it


class KeepAlive(msgspec.Struct, frozen=True):
    """TCP's own probes, for links whose program is stopped; living links are pinged long before. Seconds."""

    idle: int = 60
    interval: int = 15
    count: int = 4


class SocketOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream's socket is set to. Accepted sockets inherit these from their listening socket."""

    no_delay: bool = True
    "Small messages leave at once; we collect a tick's writes ourselves, so Nagle's algorithm only adds waiting."
    keep_alive: KeepAlive | None = KeepAlive()
    send_buffer: int | None = None
    "Bytes in the kernel; None leaves it to the kernel, which grows it as needed."
    receive_buffer: int | None = None
    "The same for what has arrived and is not yet read."

    def apply(self, sock: socket.socket) -> None:
        """Before listen() or connect(): the TCP window is agreed in the first packet."""
        if self.send_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.send_buffer)
        if self.receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        if sock.family == socket.AF_UNIX:
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, self.no_delay)
        if self.keep_alive is not None:
            _keep_alive(sock, self.keep_alive)


STREAM = SocketOptions()


def _keep_alive(sock: socket.socket, keep: KeepAlive) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)  # the second is macOS's name
    for option, value in (
        (idle, keep.idle),
        (getattr(socket, "TCP_KEEPINTVL", None), keep.interval),
        (getattr(socket, "TCP_KEEPCNT", None), keep.count),
    ):
        if option is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def listen_tcp(
    host: str,
    port: int,
    *,
    backlog: int = BACKLOG,
    reuse_address: bool = True,
    reuse_port: bool = False,
    options: SocketOptions = STREAM,
) -> list[socket.socket]:
    """Non-blocking listening sockets, all on one port (port 0: one the system chooses).

    An empty host means every address: one dual-stack socket where the system has them. `reuse_address` lets a server
    start again while connections of its last run linger in TIME_WAIT; it never lets two servers share the port.
    """

    def listening(family: int, where: Place) -> socket.socket:
        return _listening(
            family,
            where,
            options,
            only=bool(host),
            backlog=backlog,
            reuse_address=reuse_address,
            reuse_port=reuse_port,
        )

    try:
        return on_one_port(own_places(host, port, socket.SOCK_STREAM), port, listening)
    except OSError as error:
        raise _cannot_listen(host, port, error) from error


def on_one_port(
    places: Iterable[tuple[int, Place]], port: int, make: Callable[[int, Place], socket.socket]
) -> list[socket.socket]:
    """A socket made for each (family, place), all on one port (0: one the system chooses). When one cannot be made its
    error is raised, and the others are closed.

    An IP version that the machine does not have is left out, if there is another: "localhost" may have an IPv6 address
    all the same.
    """
    made: list[socket.socket] = []
    missing: OSError | None = None
    with ExitStack() as unless_all_are_made:
        for family, (host, _, *scope) in places:
            try:
                sock = make(family, (host, made[0].getsockname()[1] if made else port, *scope))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
            else:
                made.append(sock)
                unless_all_are_made.callback(sock.close)
        if missing is not None and not made:
            raise missing
        unless_all_are_made.pop_all()
    return made


def own_places(host: str, port: int, kind: int, version: int = socket.AF_UNSPEC) -> list[tuple[int, Place]]:
    """Where to bind, as (family, place). An empty host is every address: one socket for both IP versions where the
    system has that, unless it is to be of one `version`. Looks the host up; raises OSError."""
    if not host:
        if version == socket.AF_INET6 or (version == socket.AF_UNSPEC and socket.has_dualstack_ipv6()):
            return [(socket.AF_INET6, ("::", port, 0, 0))]
        return [(socket.AF_INET, ("0.0.0.0", port))]
    found = socket.getaddrinfo(host, port, version, kind, 0, socket.AI_PASSIVE | socket.AI_ADDRCONFIG)
    return list(dict.fromkeys((int(family), where) for family, _, _, _, where in found))


def _listening(
    family: int,
    where: Place,
    options: SocketOptions,
    *,
    only: bool,
    backlog: int,
    reuse_address: bool,
    reuse_port: bool,
) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse_address)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            # Every address: IPv4 callers arrive here as ::ffff:a.b.c.d. One address: that one and no other.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
        options.apply(sock)
        sock.bind(where)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    return sock


def _cannot_listen(host: str, port: int, error: OSError) -> AddressError:
    place = f"{host or '*'}:{port}"
    other = f"try --listen :{port + 1 if port < 65535 else 7788}"
    if error.errno == errno.EADDRINUSE:
        return AddressError(place, f"port {port} is in use{_holder(port)}; stop that program or {other}")
    if error.errno in (errno.EACCES, errno.EPERM):
        return AddressError(place, f"this user may not listen on port {port}; try --listen :7788 (above 1023)")
    if error.errno == errno.EADDRNOTAVAIL:
        return AddressError(place, f"{host} is not an address of this machine; use one it has, or :{port} for all")
    if isinstance(error, socket.gaierror):
        return AddressError(place, f"the name {host} is not known here; use an IP address, or :{port} for all")
    return AddressError(place, f"cannot listen there: {error.strerror or error}")


def _holder(port: int) -> str:
    """` by NAME (pid N)` when Linux tells us, else nothing. Only processes of our own user can be seen."""
    inodes = _listening_inodes(port)
    for pid in filter(str.isdigit, os.listdir("/proc") if inodes else []):
        with suppress(OSError):
            if any(os.readlink(f"/proc/{pid}/fd/{fd}") in inodes for fd in os.listdir(f"/proc/{pid}/fd")):
                with open(f"/proc/{pid}/comm") as name:
                    return f" by {name.read().strip()} (pid {pid})"
    return ""


def _listening_inodes(port: int) -> set[str]:
    """What listens on the port, as links in /proc/PID/fd name it. proc(5): state 0A is LISTEN, field 9 the inode."""
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError), open(table) as lines:
            rows = [line.split() for line in lines][1:]
            inodes |= {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and int(row[1].split(":")[1], 16) == port}
    return inodes


def round_trip(sock: socket.socket) -> int | None:
    """Microseconds, as smoothed by the kernel; None where it does not tell."""
    if sys.platform != "linux":
        return None
    try:
        raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        return int(struct.unpack_from("I", raw, _TCP_INFO_RTT)[0])
    except (OSError, struct.error):
        return None


def unacknowledged(sock: socket.socket) -> int:
    """Bytes sent that the peer's machine has not confirmed, its goodbye included; 0 where the system does not tell."""
    if sys.platform != "linux":
        return 0
    try:
        return int(struct.unpack("i", fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, b"\0" * 4))[0])  # SIOCOUTQ
    except OSError:
        return 0
