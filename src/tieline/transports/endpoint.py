"""Who is at the other end of a byte stream, as far as the transport can tell. Facts only, no decisions."""

import asyncio
import hashlib
import ipaddress
import socket
import struct
import sys
from typing import Any, Literal

import msgspec

Place = tuple[Any, ...]
"A socket's own form of an address: (host, port), for IPv6 (host, port, flow, scope)."


class Endpoint(msgspec.Struct, frozen=True, gc=False):
    """What is known of one connection; made once, when it opens."""

    kind: Literal["tcp", "tls", "unix", "memory"]
    local: str
    remote: str
    host: str = ""
    "The peer's IP address, empty where there is none."
    loopback: bool = False
    "True when the bytes never leave this machine (loopback address, Unix socket, memory)."
    uid: int | None = None
    "Operating-system user at the other end of a Unix socket."
    alpn: str | None = None
    binding: bytes | None = None
    "`tls-server-end-point` (RFC 5929): SHA-256 of the server's certificate, on both sides."


MEMORY = Endpoint(kind="memory", local="memory", remote="memory", loopback=True)


def endpoint_of(transport: asyncio.BaseTransport, binding: bytes | None) -> Endpoint:
    """Read the facts off an open transport. `binding` is known beforehand on the server's side only."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family == socket.AF_UNIX:
        path = _path(transport.get_extra_info("sockname")) or _path(transport.get_extra_info("peername"))
        return Endpoint(kind="unix", local=path, remote=path, loopback=True, uid=peer_uid(sock))
    local = shown(transport.get_extra_info("sockname"))
    peer = transport.get_extra_info("peername")
    host = host_of(peer)
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return Endpoint("tcp", local, shown(peer), host, is_loopback(host))
    if binding is None:
        certificate = tls.getpeercert(True)
        binding = hashlib.sha256(certificate).digest() if certificate else None
    return Endpoint("tls", local, shown(peer), host, is_loopback(host), None, tls.selected_alpn_protocol(), binding)


def host_of(place: object) -> str:
    """The IP address of what `accept()` or `getpeername()` gives, an IPv4 one always written as such; "" without one.

    One spelling for one machine: limits and penalties count by it.
    """
    if not isinstance(place, tuple):
        return ""
    host = str(place[0]).partition("%")[0]
    if not host.startswith("::ffff:"):
        return host
    return str(ipaddress.IPv6Address(host).ipv4_mapped or host)


def shown(place: Place | None) -> str:
    """What a socket calls a place, as people write it: 127.0.0.1:8888 or [::1]:8888; "" where there is none."""
    if not place:
        return ""
    host = host_of(place) if place[0].startswith("::ffff:") else place[0]  # else with the zone it may have
    return f"[{host}]:{place[1]}" if ":" in host else f"{host}:{place[1]}"


def is_loopback(host: str) -> bool:
    """True for 127.0.0.0/8, ::1 and the first written the IPv6 way; False for names and for anything else."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def peer_uid(sock: socket.socket) -> int | None:
    """The user id of the process that connected a Unix socket; None where the system does not tell."""
    try:
        if sys.platform == "linux":
            raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
            return int(struct.unpack("3i", raw)[1])
        # macOS and the BSDs: struct xucred { u_int version; uid_t uid; … } by SOL_LOCAL, LOCAL_PEERCRED.
        raw = sock.getsockopt(0, 1, 76)
        return int(struct.unpack_from("II", raw)[1])
    except (OSError, struct.error):
        return None


def _path(name: str | bytes | None) -> str:
    """Of a Unix socket: text, or bytes for one in Linux's abstract namespace."""
    return name.decode(errors="backslashreplace") if isinstance(name, bytes) else name or ""
