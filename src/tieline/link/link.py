"""A link of any codec: whole messages in, whole messages out, with back-pressure both ways. For `async` programs.

The peer may vanish, stop reading, send a byte at a time or never: it is an end, a pause or a bound here, never a
traceback. Bytes of files go around the codec: see `bulk`.
"""

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any, BinaryIO, NoReturn, Self

from tieline.errors import ConfigError, LimitExceeded, ProtocolError, TielineError
from tieline.limits import DEFAULT, KiB, Limits
from tieline.link import bulk
from tieline.link.lane import Progress
from tieline.link.wiring import Wiring
from tieline.transports.endpoint import Endpoint
from tieline.wire.codecs import Codec, Raw
from tieline.wire.inbox import MORE

_AT_ONCE = 64 * KiB  # of messages gathered in one tick before they are handed on
_TURN = 256  # messages one talk may take before the others get their turn
_SLACK = 64  # bytes that a codec may need beside those of the message
_STOP = object()  # for a default: end an `async for`


class Link(Wiring):
    """Messages over a stream. Made by `tieline.listen` and `tieline.dial`; one task receives, any may send."""

    __slots__ = ("_alone", "_bound", "_codec", "_decode", "_encode", "_flushing", "_turn")

    def __init__(self, codec: Codec | None = None, limits: Limits = DEFAULT) -> None:
        super().__init__(limits)
        self._alone = False  # the message just received was the only one there
        self._flushing = False
        self._turn = 0
        self.codec = Raw() if codec is None else codec

    def receive(self, default: Any = None) -> Coroutine[Any, Any, Any]:
        """The next message; `default` when the peer is gone, and `link.end` says why. Cancelling loses nothing.

        A JSON null is None too: use `async for`, or a default of your own, where that matters. Raises ProtocolError
        or LimitExceeded, which end the link, for bytes that are no message.
        """
        return self._next(default)

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Coroutine[Any, Any, Any]:
        return self._next(_STOP)

    async def receive_exactly(self, size: int) -> bytes:
        """The next `size` bytes, whatever the codec. Raises LinkClosed when the peer is gone before they are here."""
        if size > self._inbox.limit:
            raise LimitExceeded("receive_exactly size", got=size, limit=self._inbox.limit)
        while (piece := self._inbox.exactly(size)) is MORE:
            if not await self._more():
                self._cut_off(f"after {len(self._inbox)} of {size} bytes")
                raise self._over()
        return piece

    async def receive_into(self, file: BinaryIO, size: int, progress: Progress | None = None) -> None:
        """Write the next `size` bytes to `file`, in a thread. `progress` is called on the loop with the bytes so far.

        Raises LinkClosed when the peer is gone before they are here, and the file's OSError.
        """
        await bulk.receive_into(self, file, size, progress)

    async def send(self, message: Any) -> None:
        """Send one message: at once, unless the peer is behind with reading; then this waits.

        What is sent in one turn of the loop leaves in one piece. Raises LinkClosed when the link has ended,
        ProtocolError or LimitExceeded when the codec cannot send such a message. Cancelling does not unsend it.
        """
        data = self._encode(message)
        if self._sending_file or self._closing:
            await self._turn_to_send()
        if self._alone and not self._outgoing:
            # One question, one answer: it leaves at once, and the loop is spared a turn.
            self._alone = False
            self._stream.write(data)
        else:
            self._outgoing.append(data)
            self._outgoing_size += len(data)
            if self._outgoing_size > _AT_ONCE:
                self.flush()
            elif not self._flushing:
                self._flushing = True
                self._loop.call_soon(self._flush_tick)
        while self._stream.paused:
            await self._drained()

    async def send_file(
        self, file: BinaryIO, offset: int = 0, size: int | None = None, progress: Progress | None = None
    ) -> int:
        """Send a file's bytes (all, or `size` from `offset`) past the codec; returns how many. Messages wait meanwhile.

        On plain sockets the kernel moves them (`os.sendfile`). Raises LinkClosed, and the file's OSError.
        """
        return await bulk.send_file(self, file, offset, size, progress)

    def finish(self) -> None:
        """Send no more, and go on receiving: the peer sees the end of what was sent. Over TLS this closes the link."""
        if self.info.kind == "tls":
            self.close()
        elif not self._closing:
            self.flush()
            self._closing = True
            self._stream.finish()

    @property
    def codec(self) -> Codec:
        """May be changed at any time: the next message is read by the new one, from the first byte not yet used."""
        return self._codec

    @codec.setter
    def codec(self, codec: Codec) -> None:
        self._codec = checked_codec(codec)
        self._encode, self._decode = codec.encode, codec.decode
        # A codec that never has enough is stopped here, whatever its own limit says or forgets.
        self._bound = max(self._inbox.limit, getattr(codec, "limit", None) or 0) + _SLACK
        self._inbox.forget()

    @property
    def info(self) -> Endpoint:
        """What is known of the other end: kind of transport, addresses, TLS, user id of a Unix socket's peer."""
        return self._stream.info

    @property
    def peer(self) -> str:
        """The other end's address, as text."""
        return self._stream.info.remote

    @property
    def local(self) -> str:
        """This end's address, as text."""
        return self._stream.info.local

    @property
    def limits(self) -> Limits:
        return self._limits

    @property
    def is_open(self) -> bool:
        """True while messages can be sent."""
        return not self._closing

    @property
    def socket(self) -> "socket.socket | None":
        """For reading and setting its options, never for its bytes. None once gone, and in memory."""
        transport = self._stream.transport
        return None if transport is None else transport.get_extra_info("socket")

    def set_no_delay(self, yes: bool) -> None:
        """Whether small messages leave at once; a socket option, but one that event loops set as they like."""
        sock = self.socket
        if sock is not None and self.info.kind in ("tcp", "tls"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, yes)

    def __repr__(self) -> str:
        codec = getattr(type(self._codec), "__name__", "")
        if not hasattr(self, "_stream"):
            return f"<Link unopened {codec}>"
        state = "open" if self.is_open else "closed" if self._gone.done() else "closing"
        stream = self._stream
        return f"<Link {state} {stream.info.kind} {self.peer} {codec} {stream.bytes_in} in {stream.bytes_out} out>"

    # -- small things --------------------------------------------------------------------------------------------

    async def _next(self, default: Any) -> Any:
        """The next message, waited for if need be. The one coroutine of every way to receive: each costs its share."""
        inbox = self._inbox
        if inbox._data:
            if self._turn == _TURN:
                await self._let_others()
            self._turn += 1
            try:
                message = self._decode(inbox)
            except Exception as error:  # the codec may be the user's, and raises what it likes
                self._refuse(error)
            if message is not MORE:
                return message
        while not inbox.ended:
            if inbox._data and len(inbox) > self._bound:
                self._refuse(LimitExceeded(f"message for {self._reader()}", got=len(inbox), limit=self._bound))
            await self._arrival()
            self._turn = 0
            try:
                message = self._decode(inbox)
            except Exception as error:  # the same
                self._refuse(error)
            if message is not MORE:
                self._alone = not inbox._data
                return message
        self._cut_off(f"in the middle of a message: {len(inbox)} bytes for {self._reader()} had come" if inbox else "")
        if default is _STOP:
            raise StopAsyncIteration
        return default

    async def _turn_to_send(self) -> None:
        while self._sending_file:
            await self._drained()
        if self._closing:
            raise self._over()

    async def _let_others(self) -> None:
        self._turn = 0
        await asyncio.sleep(0)

    def _refuse(self, error: Exception) -> NoReturn:
        """What came is no message: nothing after it can be read either."""
        self.close(str(error))
        if isinstance(error, TielineError):
            raise error
        said = f"{type(error).__name__}: {error}"
        raise ProtocolError(f"{self._reader()} cannot read what came ({said})") from error

    def _reader(self) -> str:
        """The codec, for people: one that does not introduce itself goes by its class."""
        kind = type(self._codec)
        return kind.__name__ if kind.__repr__ is object.__repr__ else repr(self._codec)

    def _flush_tick(self) -> None:
        self._flushing = False
        self.flush()


def checked_codec(codec: Codec) -> Codec:
    if isinstance(codec, type) or not (hasattr(codec, "encode") and hasattr(codec, "decode")):
        raise ConfigError("codec", f"is {codec!r}; give an object such as tieline.Lines()")
    return codec
