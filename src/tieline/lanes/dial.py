"""The client's way to a lane: blocking, for the thread that will use it. The same rules as for a link's dialling."""

import hmac
import socket
import time

from tieline.errors import DialFailed, PinMismatch, ProtocolError
from tieline.lanes.connection import Lane
from tieline.lanes.tls import Tls
from tieline.limits import DEFAULT, Limits
from tieline.link.dial import why
from tieline.transports.address import Address
from tieline.transports.sockets import STREAM
from tieline.transports.tls import LANE, client_context, pin_of
from tieline.wire.lane import PREFACE
from tieline.wire.lane_messages import Open, Opened, message_frame


def dial_lane(address: Address, token: bytes, limits: Limits = DEFAULT) -> Lane:
    """An open lane to the server that gave the token. Raises DialFailed, PinMismatch, and what the server says."""
    until = time.monotonic() + limits.opening
    try:
        sock = _connect(address, limits.opening)
    except (OSError, UnicodeError, OverflowError) as error:
        raise DialFailed(address.where, why(error, address)) from error
    try:
        lane = Lane(_secured(sock, address, until - time.monotonic()) if address.tls else sock, limits)
        show(lane, token, limits.opening)
        return lane
    except BaseException:  # whatever it was is raised on, without leaving a socket behind
        sock.close()
        raise


def show(lane: Lane, token: bytes, seconds: float) -> None:
    """The first words on a lane. Raises what the other side says against it, and ProtocolError."""
    key = lane.key()
    lane.send(PREFACE + message_frame(Open(token, key)))
    answer = lane.message(seconds)
    if not isinstance(answer, Opened):
        raise ProtocolError("the lane was not opened, and nothing said why")
    lane.seal(key, answer.key)


def _connect(address: Address, seconds: float) -> socket.socket:
    if address.scheme == "unix":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(seconds)
            sock.connect(address.path)
        except BaseException:  # whatever it was: nobody else has the socket yet
            sock.close()
            raise
        return sock
    sock = socket.create_connection((address.host or "localhost", address.port), seconds)
    try:
        STREAM.apply(sock)
    except BaseException:  # whatever it was: nobody else has the socket yet
        sock.close()
        raise
    return sock


def _secured(sock: socket.socket, address: Address, seconds: float) -> Tls:
    """Nothing is sent before it is known who answered."""
    try:
        context = client_context(address.pin, (LANE,))
        secured = Tls(sock, context, server=False, name=address.host.partition("%")[0] or "localhost")
        secured.handshake(seconds)
    except (OSError, ValueError) as error:
        raise DialFailed(address.where, why(error, address)) from error
    got = pin_of(secured.tls.getpeercert(True) or b"")
    if address.pin and not hmac.compare_digest(got, address.pin):
        raise PinMismatch(address.where, address.pin, got)
    if secured.tls.selected_alpn_protocol() != LANE:
        raise DialFailed(address.where, "that server has no lanes for files: is it an older Tieline?")
    return secured
