"""One connection from accept until somebody knows who is calling: sniffed, handed over, and cut when it takes too long.

An opening ends in one of three ways: `done()` by whoever serves it, its deadline, or the connection's end.
"""

import asyncio
import enum
import logging
import socket
import ssl
from collections.abc import Callable
from typing import cast

import msgspec

from tieline.errors import PlainRefused
from tieline.limits import Limits
from tieline.link.accepted import AcceptedSocket
from tieline.link.handover import ByAlpn, Farewell, FirstWords
from tieline.transports.caller import Caller, caller_of
from tieline.transports.hello import PEEK, asks_for
from tieline.transports.tls import HTTP, LANE, NATIVE
from tieline.transports.tls_handshake import accept_tls

log = logging.getLogger("tieline.listener")

FAREWELL_TIME = 2.0
"Seconds a refused caller has to read why."

_PLAIN = f"{PlainRefused()}\r\n"
_PLAIN_HTTP = (
    "HTTP/1.1 426 Upgrade Required\r\nUpgrade: TLS/1.3, HTTP/1.1\r\nConnection: Upgrade, close\r\nServer: tieline\r\n"
    "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nContent-Length: {}\r\n\r\n{}"
)
_USE_HTTPS = "This server takes plain HTTP only from its own machine. Use https:// with the same host and port.\n"
_SSH = "This is a Tieline server, which does not speak SSH; use the tieline program.\r\n"
_NAME_IT = "a native caller must name tieline/1 in its TLS hello (ALPN)\r\n"
_HELLO_PAUSE = 0.02
"Seconds until a TLS hello that came in part is looked at again, then twice as long, and so on."
_NO_TLS_ALERT = b"\x15\x03\x03\x00\x02\x02\x28"  # RFC 8446, 6: a fatal handshake_failure


class Routes(msgspec.Struct, frozen=True):
    """Who serves which caller. Each is given the Opening and returns a fresh asyncio protocol.

    It calls `opening.done()` when it knows who is calling; until then the deadline runs.
    """

    native: "Callable[[Opening], asyncio.BaseProtocol]"
    http: "Callable[[Opening], asyncio.BaseProtocol]"
    lines: "Callable[[Opening], asyncio.BaseProtocol]"
    lane: Callable[[socket.socket, bool], None] | None = None
    "Takes the socket itself, nothing of it read, and whether TLS is spoken there. None: this server has no lanes."


class House(msgspec.Struct, frozen=True):
    """What all openings of a listener have in common. `done` and `gone` are each called once for an opening."""

    routes: Routes
    tls: ssl.SSLContext | None
    limits: Limits
    allow_plain: bool
    done: "Callable[[Opening], None]"
    gone: "Callable[[Opening], None]"


class Stage(enum.Enum):
    SNIFFING = enum.auto()
    HANDING_OVER = enum.auto()  # in a task: the TLS handshake, or one turn of the loop
    SERVED = enum.auto()
    GONE = enum.auto()


class Opening:
    """A caller of whom only the address is known. `host` is empty for Unix sockets; `tls` is known once routed."""

    __slots__ = (
        "_deadline",
        "_house",
        "_loop",
        "_sock",
        "_taken",
        "_timer",
        "_transport",
        "_unwanted",
        "host",
        "loopback",
        "open",
        "stage",
        "task",
        "tls",
    )

    def __init__(self, sock: AcceptedSocket, host: str, loopback: bool, house: House) -> None:
        self.host = host
        self.loopback = loopback
        self.tls = False
        self.open = True
        "Until done() or the end."
        self.stage = Stage.SNIFFING
        self.task: asyncio.Task[None] | None = None
        self._sock = sock
        self._house = house
        self._loop = asyncio.get_running_loop()
        self._deadline = self._loop.time() + house.limits.opening
        self._taken = False  # by the loop, which then closes the socket
        self._unwanted = False  # dropped while it was handed over
        self._transport: asyncio.BaseTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        sock.when_gone = self._gone

    def __repr__(self) -> str:
        return f"<Opening {self.stage.name.lower()} from {self.host or 'this machine'}{' tls' if self.tls else ''}>"

    # -- for whoever serves it -----------------------------------------------------------------------------------

    def done(self) -> None:
        """It is known who is calling: the deadline is off, and this counts as an opening no more."""
        if self.open:
            self.open = False
            self._set_timer(None, self.drop)
            self._house.done(self)

    def allow(self, seconds: float) -> None:
        """From now on so much time is left, instead of what was."""
        if self.open:
            self._set_timer(seconds, self._too_slow)

    # -- for the listener ----------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Look at what has come already; if nothing has, wait for it, for `limits.greeting` at most."""
        limits = self._house.limits
        self._set_timer(min(limits.greeting, limits.opening), self._greet)
        first = self._peek()
        if first is None:
            self._loop.add_reader(self._sock, self._readable)
        else:
            self._decide(first)

    def drop(self) -> None:
        """End the connection now, whatever it is at."""
        self.done()
        match self.stage:
            case Stage.SNIFFING:
                self._loop.remove_reader(self._sock)
                self._sock.close()
            case Stage.HANDING_OVER if self._taken and (self._house.tls is None or not self.tls):
                self._unwanted = True  # known in a moment; uvloop tells the protocol of no end when this is cancelled
            case Stage.HANDING_OVER if self.task is not None:
                self.task.cancel()
                if not self._taken:
                    self._sock.close()
            case Stage.SERVED:
                cast(asyncio.WriteTransport, self._transport).abort()

    # -- sniffing ------------------------------------------------------------------------------------------------

    def _readable(self) -> None:
        first = self._peek()
        if first is not None:
            self._loop.remove_reader(self._sock)
            self._decide(first)

    def _peek(self) -> bytes | None:
        """What has come so far, None when nothing has. It stays unread: whoever serves the caller gets every byte."""
        try:
            return self._sock.recv(PEEK, socket.MSG_PEEK)
        except (BlockingIOError, InterruptedError):
            return None
        except OSError:
            return b""

    def _decide(self, first: bytes, pause: float = _HELLO_PAUSE) -> None:
        if not first:  # gone before saying anything
            self.drop()
            return
        caller = caller_of(first)
        if caller is Caller.TLS and self._house.tls is not None and self._house.routes.lane is not None:
            asked = asks_for(first)
            if asked is None:
                self.allow(self._deadline - self._loop.time())
                self._loop.call_later(pause, self._look_again, 2 * pause)
                return
            if LANE in asked:
                self._to_lane(tls=True)
                return
        self._route(caller)

    def _look_again(self, pause: float) -> None:
        if self.stage is Stage.SNIFFING:
            self._decide(self._peek() or b"", pause)

    def _greet(self) -> None:
        self._loop.remove_reader(self._sock)
        self._route(Caller.PERSON)

    def _too_slow(self) -> None:
        log.debug("%r took too long", self)
        self.drop()

    # -- handing over --------------------------------------------------------------------------------------------

    def _route(self, caller: Caller) -> None:
        self.tls = caller is Caller.TLS
        self.allow(self._deadline - self._loop.time())
        plain_is_fine = self.loopback or self._house.allow_plain
        if caller is Caller.LANE and plain_is_fine and self._house.routes.lane is not None:
            self._to_lane(tls=False)
            return
        try:
            protocol = self._by_caller(caller)
        except Exception:  # a fault of ours: this caller leaves, and the next is served
            log.exception("%s callers cannot be served", caller.value)
            self.drop()
            return
        self._give(protocol)

    def _to_lane(self, *, tls: bool) -> None:
        """The socket goes to a thread of its own, and is no connection of the listener's any more."""
        assert self._house.routes.lane is not None
        sock = socket.socket(fileno=self._sock.detach())
        self._house.routes.lane(sock, tls)

    def _give(self, protocol: asyncio.BaseProtocol) -> None:
        self.stage = Stage.HANDING_OVER
        self.task = self._loop.create_task(self._hand_over(protocol, self._house.tls if self.tls else None))

    async def _hand_over(self, protocol: asyncio.BaseProtocol, context: ssl.SSLContext | None) -> None:
        self._taken = True
        try:
            if context is None:
                self._transport, _ = await self._loop.connect_accepted_socket(lambda: protocol, self._sock)
            else:
                self._transport = await accept_tls(protocol, self._sock, context, self._house.limits.opening)
            if self.stage is Stage.HANDING_OVER:
                self.stage = Stage.SERVED
            if self._unwanted:
                self.drop()
        except OSError as error:  # TLS trouble and time-outs are OSErrors too; the loop has closed the socket
            log.debug("%r failed: %s", self, error)
        finally:
            self.task = None

    def _by_caller(self, caller: Caller) -> asyncio.BaseProtocol:
        if caller is Caller.TLS:
            return ByAlpn(self._by_alpn) if self._house.tls is not None else self._farewell(_NO_TLS_ALERT)
        if caller is Caller.SSH:
            return self._farewell(_SSH)
        if not (self.tls or self.loopback or self._house.allow_plain):
            http = _PLAIN_HTTP.format(len(_USE_HTTPS), _USE_HTTPS)
            return self._farewell(http if caller is Caller.HTTP else _PLAIN)
        if caller is Caller.HTTP:
            return self._house.routes.http(self)
        if caller is Caller.NATIVE:
            return self._house.routes.native(self)
        if caller is Caller.LANE:
            return self._farewell("")
        self.allow(self._house.limits.person_login)
        return self._house.routes.lines(self)

    def _by_alpn(self, alpn: str | None) -> asyncio.BaseProtocol:
        if alpn == NATIVE:
            return self._guarded(Caller.NATIVE)
        if alpn == HTTP:
            return self._guarded(Caller.HTTP)
        return FirstWords(self._by_first_words, self._house.limits.greeting)

    def _by_first_words(self, caller: Caller) -> asyncio.BaseProtocol:
        if caller is Caller.NATIVE:  # a browser tricked into sending such bytes cannot name it, so it must be named
            return self._farewell(_NAME_IT)
        return self._guarded(caller) if caller is not Caller.TLS else self._farewell("")

    def _guarded(self, caller: Caller) -> asyncio.BaseProtocol:
        """A fault of ours in making a protocol must not surface inside the loop's TLS machinery."""
        try:
            return self._by_caller(caller)
        except Exception:  # a fault of ours: this caller is told goodbye, and the next is served
            log.exception("%s callers cannot be served", caller.value)
            return self._farewell("")

    def _farewell(self, last_words: str | bytes) -> Farewell:
        self.allow(FAREWELL_TIME)
        return Farewell(last_words if isinstance(last_words, bytes) else last_words.encode())

    # -- its end -------------------------------------------------------------------------------------------------

    def _gone(self) -> None:
        self.done()
        self.stage = Stage.GONE
        self._house.gone(self)

    def _set_timer(self, seconds: float | None, then: Callable[[], None]) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self._loop.call_later(seconds, then)
