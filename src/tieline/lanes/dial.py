"""The client's way to a lane: blocking, for the thread that will use it. The same rules as for a link's dialling."""

import hmac
import socket
import ssl

from tieline.errors import DialFailed, PinMismatch, ProtocolError
from tieline.lanes.connection import Lane
from tieline.limits import DEFAULT, Limits
from tieline.link.dial import why
from tieline.transports.address import Address
from tieline.transports.sockets import STREAM
from tieline.transports.tls import client_context, pin_of
from tieline.wire.lane import ALPN, PREFACE, Open, Opened, message_frame


def dial_lane(address: Address, token: bytes, limits: Limits = DEFAULT) -> Lane:
    """An open lane to the server that gave the token. Raises DialFailed, PinMismatch, and what the server says."""
    try:
        sock = _connect(address, limits.opening)
    except (OSError, UnicodeError, OverflowError) as error:
        raise DialFailed(address.where, why(error, address)) from error
    try:
        lane = Lane(sock, limits)
        lane.send(PREFACE + message_frame(Open(token)))
        if not isinstance(lane.message(limits.opening), Opened):
            raise ProtocolError("the lane was not opened, and nothing said why")
        return lane
    except BaseException:
        sock.close()
        raise


def _connect(address: Address, seconds: float) -> socket.socket:
    context = client_context(address.pin, (ALPN,)) if address.tls else None
    if address.scheme == "unix":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(seconds)
            sock.connect(address.path)
        except BaseException:
            sock.close()
            raise
        return sock
    sock = socket.create_connection((address.host or "localhost", address.port), seconds)
    try:
        STREAM.apply(sock)
        return _secured(sock, context, address) if context is not None else sock
    except BaseException:
        sock.close()
        raise


def _secured(sock: socket.socket, context: ssl.SSLContext, address: Address) -> ssl.SSLSocket:
    secured = context.wrap_socket(sock, server_hostname=address.host.partition("%")[0] or "localhost")
    try:
        _check(secured, address)
    except BaseException:
        secured.close()
        raise
    return secured


def _check(secured: ssl.SSLSocket, address: Address) -> None:
    """Nothing is sent before it is known who answered."""
    got = pin_of(secured.getpeercert(True) or b"")
    if address.pin and not hmac.compare_digest(got, address.pin):
        raise PinMismatch(address.where, address.pin, got)
    if secured.selected_alpn_protocol() != ALPN:
        raise DialFailed(address.where, "that server has no lanes for files: is it an older Tieline?")
