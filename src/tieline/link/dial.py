"""An address to an open stream. Every failure is a DialFailed whose sentence says what to do, or a PinMismatch.

With a pin, nothing is sent and nobody is told of the stream before the certificate was compared.
"""

import asyncio
import errno
import hmac
import socket
import ssl
from collections.abc import Callable
from datetime import datetime
from typing import cast

from tieline.errors import DialFailed, PinMismatch, TielineError
from tieline.limits import DEFAULT, Limits
from tieline.link.handover import become
from tieline.transports.address import Address
from tieline.transports.dialling import connect_tcp, connect_unix
from tieline.transports.sockets import STREAM, SocketOptions
from tieline.transports.stream import Receiver, Stream
from tieline.transports.tls import HANDSHAKE_TIMEOUT, NATIVE, client_context, pin_of
from tieline.transports.tls_handshake import dial_tls

OPENINGS = 3
"How often a server that greets us as it greets people is dialled before it is believed."
FIRST_PAUSE = 0.5
"Seconds. The longest pause before the second redial; it doubles from there."
LONGEST_PAUSE = 30.0
"Seconds. A server that was away for a night is found again this fast."

_REASONS: dict[int | None, str] = {
    errno.ECONNREFUSED: "nobody listens there: is the server running?",
    errno.ENOENT: "there is no such socket file: is the server running?",
    errno.ENETUNREACH: "no route to that network: is this machine connected?",
    errno.EHOSTUNREACH: "no route to that host: is it switched on, and on this network?",
    errno.ETIMEDOUT: "no answer: is the host on, and does a firewall let the port through?",
    errno.ECONNRESET: "the connection was cut at once: is that a Tieline server, and is it not overloaded?",
    errno.EACCES: "this user may not use that socket file, or a firewall forbids it",
    errno.EPERM: "this user may not connect there, or a firewall forbids it",
    errno.EMFILE: "this program has too many files and connections open",
}
# What OpenSSL says of an answer in plain text.
_PLAIN_TEXT = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE")
# What OpenSSL's verification says (X509_V_ERR_…), in words that tell which of the two clocks or names to look at.
_CLOCK = (9, 10)
_SELF_SIGNED = (18, 19, 20, 21)
_WRONG_NAME = (62, 64)


async def dial_stream(
    address: Address,
    receiver: Receiver,
    *,
    limits: Limits = DEFAULT,
    timeout: float | None = None,
    alpn: str | None = NATIVE,
    context: ssl.SSLContext | None = None,
    options: SocketOptions = STREAM,
) -> Stream:
    """Connect and give `receiver` the stream. At most `timeout` seconds (`limits.opening`), name lookup included.

    `alpn` None is for raw links, which name no protocol; `context` is TLS of the caller's own (a pin counts as well).
    Cancelling is safe. Raises DialFailed and PinMismatch.
    """
    if address.scheme not in ("tcp", "tls", "tieline", "unix"):
        raise DialFailed(str(address), f"no stream is dialled over {address.scheme}://; use tcp://, tls:// or unix:")
    seconds = limits.opening if timeout is None else timeout
    try:
        async with asyncio.timeout(seconds):
            return await _dial(address, receiver, limits, alpn, context, options)
    except TielineError:
        raise
    except TimeoutError as error:
        reason = f"no answer within {seconds:g} s: is the host on, and does a firewall let the port through?"
        raise DialFailed(address.where, reason) from error
    except (OSError, UnicodeError, OverflowError) as error:
        raise DialFailed(address.where, why(error, address)) from error


def backoff(attempt: int, random: float) -> float:
    """Seconds to wait before redial `attempt` (0 is the first, at once); `random` is in [0, 1).

    The whole pause is random ("full jitter"), so that a thousand clients do not come back in one moment.
    """
    if attempt <= 0:
        return 0.0
    return random * min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(attempt - 1, 16))


async def _dial(
    address: Address,
    receiver: Receiver,
    limits: Limits,
    alpn: str | None,
    context: ssl.SSLContext | None,
    options: SocketOptions,
) -> Stream:
    # The context first: making it may take a while, and a connected socket would wait for it unused.
    if context is None and address.tls:
        context = await _context(address.pin, alpn)
    left = OPENINGS
    while True:
        left -= 1
        if address.scheme == "unix":
            sock = await connect_unix(address.path, options=options)
        else:
            sock = await connect_tcp(address.host or "localhost", address.port, options=options)
        try:
            return await _hand_over(sock, Stream(receiver, limits=limits), context, address, alpn)
        except ssl.SSLError as error:
            # On a busy machine we may have been so slow to speak that we were taken for a person, and greeted.
            if not left or error.reason not in _PLAIN_TEXT:
                raise


async def _context(pin: str, alpn: str | None) -> ssl.SSLContext:
    names = (alpn,) if alpn else ()
    if pin:
        return client_context(pin, names)
    return await asyncio.to_thread(client_context, "", names)  # reads the system's certificate authorities


async def _hand_over(
    sock: socket.socket, stream: Stream, context: ssl.SSLContext | None, address: Address, alpn: str | None
) -> Stream:
    if context is not None:
        check = _Check(stream, address, alpn)
        await dial_tls(check, sock, context, address.host.partition("%")[0] or "localhost", HANDSHAKE_TIMEOUT)
        check.raise_refusal()
        return stream
    try:
        await asyncio.get_running_loop().create_connection(lambda: stream, sock=sock)
        return stream
    except BaseException:  # cancelled too: nobody else has the socket yet
        sock.close()
        raise


class _Check(asyncio.Protocol):
    """Between the handshake and the stream: looks at who answered, and lets the stream begin only if it is the one."""

    def __init__(self, stream: Stream, address: Address, alpn: str | None) -> None:
        self._stream = stream
        self._address = address
        self._alpn = alpn
        self._refusal: TielineError | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast(asyncio.Transport, transport)
        self._refusal = self._judge(transport.get_extra_info("ssl_object"))
        if self._refusal is not None:
            transport.abort()
        else:
            become(transport, self._stream)

    def raise_refusal(self) -> None:
        if self._refusal is not None:
            raise self._refusal

    def _judge(self, tls: ssl.SSLObject) -> TielineError | None:
        got = pin_of(tls.getpeercert(True) or b"")
        if self._address.pin and not hmac.compare_digest(got, self._address.pin):
            return PinMismatch(self._address.where, self._address.pin, got)
        if self._alpn is not None and tls.selected_alpn_protocol() != self._alpn:
            return DialFailed(self._address.where, "that server speaks TLS, but not Tieline's: is it the right port?")
        return None


def why(error: Exception, address: Address, now: Callable[[], datetime] = datetime.now) -> str:
    """What went wrong, and what to do about it, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return _untrusted(error, now())
    if isinstance(error, ssl.SSLError):
        return _tls_trouble(error)
    if isinstance(error, socket.gaierror | UnicodeError):
        return f"the name {address.host} is not known: is it spelled right, and is this machine connected?"
    if isinstance(error, ConnectionError) and error.errno is None and address.tls:
        return "the server closed during the TLS handshake: is that a Tieline server, and does it serve TLS?"
    if isinstance(error, OSError):
        return _REASONS.get(error.errno) or (error.strerror or str(error) or "the connection failed").lower()
    return str(error)


def _untrusted(error: ssl.SSLCertVerificationError, now: datetime) -> str:
    if error.verify_code in _CLOCK:
        said = "has expired" if error.verify_code == 10 else "is not valid yet"
        return f"its certificate {said}. If this machine's clock is wrong (it says {now:%Y-%m-%d %H:%M}), set it"
    if error.verify_code in _SELF_SIGNED:
        return "nobody this machine trusts signed its certificate: use a ticket, or the address with ?pin=…"
    if error.verify_code in _WRONG_NAME:
        return "its certificate is for another name: use that name, a ticket, or the address with ?pin=…"
    return f"its certificate is not trusted ({error.verify_message}): use a ticket, or the address with ?pin=…"


def _tls_trouble(error: ssl.SSLError) -> str:
    reason = error.reason or str(error)
    if reason in _PLAIN_TEXT:
        return "the server there does not speak TLS: is it the right port? On its own machine use tcp://"
    if "PROTOCOL_VERSION" in reason or "UNSUPPORTED_PROTOCOL" in reason:
        return "the server there does not speak TLS 1.3: is it a Tieline server?"
    if "HANDSHAKE_FAILURE" in reason:
        return "the server there refused TLS: does it serve TLS at all?"
    return f"TLS failed ({reason.lower().replace('_', ' ')})"
