"""The server's lanes: a thread for each, from the handshake to the end, within bounds; ended when their owner is.

The loop hands over sockets and tells when to end; everything else happens in the lane's own thread, in plain blocking
code. A lane that is not opened in time is dropped, and beyond a number of such openings the oldest is, so callers
without a token keep nobody out.
"""

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress

from tieline.errors import CallError, Denied, LinkError, Overloaded, ProtocolError, TielineError, Unavailable
from tieline.lanes.connection import Lane
from tieline.lanes.tls import Tls
from tieline.lanes.tokens import Tokens
from tieline.limits import Limits
from tieline.login.identity import Identity
from tieline.transports.tls import LANE
from tieline.wire.lane import PREFACE
from tieline.wire.lane_messages import Closing, Open, Opened

log = logging.getLogger("tieline.lanes")

_LAST = 10.0
"Seconds a lane that was cut may take to end: it looks up at each block."
_SPARE = 8
"Threads that may be about to end besides."
_LINGER = 1.0
"Seconds for the other side to read why the lane ends: closing over what it still sends would be a reset."

Serve = Callable[[Lane, Identity], None]
"Does what the caller wants of an open lane, in its thread, until the caller is done."


class Served:
    """One lane, for those outside its thread."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.identity: Identity | None = None
        self.lane: Lane | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def stop(self, error: TielineError) -> None:
        if self.lane is not None:
            self.lane.stop(error)
        else:
            with suppress(OSError):
                self.sock.shutdown(socket.SHUT_RDWR)


class LaneServer:
    """`take` sockets on the loop, `close()` to drain. `context` is TLS as lanes speak it."""

    def __init__(self, context: ssl.SSLContext, tokens: Tokens, serve: Serve, limits: Limits) -> None:
        context.set_alpn_protocols([LANE])
        self._context = context
        self._tokens = tokens
        self._serve = serve
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._opening: dict[Served, None] = {}  # oldest first
        self._open: set[Served] = set()
        self._closing = False
        self._threads = 0

    def __len__(self) -> int:
        return len(self._open)

    # -- on the loop ---------------------------------------------------------------------------------------------

    def take(self, sock: socket.socket, tls: bool) -> None:
        """Serve a caller of whom nothing was read yet. The socket is ours from here on."""
        if self._closing or self._threads >= 2 * self._limits.lanes + _SPARE:
            sock.close()
            return
        served = Served(sock)
        self._threads += 1
        with self._lock:
            oldest = next(iter(self._opening)) if len(self._opening) >= self._limits.lanes else None
            if oldest is not None:
                del self._opening[oldest]  # the next is another, though this one's thread takes a moment to end
            self._opening[served] = None
        if oldest is not None:
            oldest.stop(Overloaded("too many callers want lanes"))
        served.timer = self._loop.call_later(self._limits.opening, served.stop, Unavailable("it took too long"))
        try:
            threading.Thread(target=self._run, args=(served, tls), name="tieline.lane", daemon=True).start()
        except RuntimeError as error:  # the system has no thread for it: this caller leaves, and the next is served
            log.warning("a lane could not be served: %s", error)
            with self._lock:
                self._opening.pop(served, None)
            sock.close()
            self._gone(served)

    def cut(self, account: str, device: str | None = None, reason: str = "access was revoked") -> int:
        """End every lane of an account, or of one of its devices. Returns how many there were."""
        with self._lock:
            self._tokens.revoke(account, device)
            found = [
                served
                for served in self._open
                if served.identity is not None
                and served.identity.account == account
                and device in (None, served.identity.device)
            ]
        for served in found:
            served.stop(Denied(reason))
        return len(found)

    async def close(self, seconds: float) -> None:
        """No new lanes; what runs may finish within so many seconds, and is cut then."""
        self._closing = True
        for served in list(self._opening):
            served.stop(Unavailable("the server is closing"))
        ends = [served.ended for served in [*self._open, *self._opening]]
        if ends:
            await asyncio.wait(ends, timeout=seconds)
        for served in [*self._open, *self._opening]:
            served.stop(Unavailable("the server is closing"))
        if ends and (await asyncio.wait(ends, timeout=_LAST))[1]:
            log.error("%d lanes do not end; they end with the process", len(self._open))

    def _gone(self, served: Served) -> None:
        self._threads -= 1
        if served.timer is not None:
            served.timer.cancel()
        if not served.ended.done():
            served.ended.set_result(None)

    # -- in the lane's thread ------------------------------------------------------------------------------------

    def _run(self, served: Served, tls: bool) -> None:
        try:
            lane = self._handshake(served, tls)
            if lane is not None:
                with_farewell(lane, lambda: self._converse(served, lane))
        except Exception:  # the thread has no caller who could see it
            log.exception("a lane ended with a fault of ours")
        finally:
            with self._lock:
                self._opening.pop(served, None)
                self._open.discard(served)
            with suppress(OSError):
                served.sock.close()
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(self._gone, served)

    def _handshake(self, served: Served, tls: bool) -> Lane | None:
        try:
            if not tls:
                return Lane(served.sock, self._limits)
            secured = Tls(served.sock, self._context, server=True)
            secured.handshake(self._limits.opening)
            return Lane(secured, self._limits) if secured.tls.selected_alpn_protocol() == LANE else None
        except OSError as error:  # ssl.SSLError is one
            log.debug("a lane was not opened: %s", error)
            return None

    def _converse(self, served: Served, lane: Lane) -> None:
        if lane.exactly(len(PREFACE)) != PREFACE:
            raise ProtocolError("a lane that does not begin like one")
        opening = lane.message(self._limits.opening)
        if not isinstance(opening, Open):
            raise ProtocolError(f"{type(opening).__name__} where Open was due")
        lane.check_key(opening.key)  # before the token is used up, which is good once
        identity = self._admit(served, lane, opening.token)
        key = lane.key()
        lane.say(Opened(key))
        lane.seal(key, opening.key)
        with lane.working():
            self._serve(lane, identity)

    def _admit(self, served: Served, lane: Lane, token: bytes) -> Identity:
        with self._lock:  # from the token on `cut` finds the lane, or the token is gone
            self._opening.pop(served, None)
            identity = self._tokens.take(token)
            if identity is None:
                raise Denied("this token opens no lane: it is good once, and while its link is open; ask for another")
            mine = sum(1 for other in self._open if other.identity and other.identity.account == identity.account)
            if mine >= self._limits.lanes_per_account:
                raise Overloaded(f"you have {mine} lanes open, and nobody may have more; wait until one is done")
            if len(self._open) >= self._limits.lanes:
                raise Overloaded(f"{len(self._open)} lanes are open, and the server serves no more; try again later")
            if self._closing:
                raise Unavailable("the server is closing")
            served.identity, served.lane = identity, lane
            self._open.add(served)
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(_stop_timer, served)
        return identity


def _stop_timer(served: Served) -> None:
    if served.timer is not None:
        served.timer.cancel()
        served.timer = None


def with_farewell(lane: Lane, converse: Callable[[], None]) -> None:
    """Run it, and tell the other side why it ended, if it ended for a reason."""
    try:
        converse()
    except CallError as error:
        _say(lane, Closing(error.code, str(error)))
    except ProtocolError as error:
        log.info("%r: %s", lane, error)
        _say(lane, Closing("", str(error)))
    except LinkError as error:
        log.debug("%r: %s", lane, error)
    except Exception:  # a fault of ours: told without details, and raised for the log
        _say(lane, Closing("internal", "the other side failed; its log says why"))
        raise


def _say(lane: Lane, closing: Closing) -> None:
    with suppress(LinkError, CallError, OSError, ValueError):
        lane.say(closing)
        lane.linger(_LINGER)
