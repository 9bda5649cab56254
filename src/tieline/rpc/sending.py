"""Streams that are sent with calls: the one parameter that is an async iterator, by a task of its own.

Goes in: a call that msgspec could not encode because of it. Comes out: a channel on which the stream is sent, until
it ends, fails (then the call does) or is stopped. Every source is closed.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from tieline.errors import InvalidArgument
from tieline.link.frame_link import FrameLink
from tieline.rpc.outgoing import Outgoing, close_source
from tieline.wire.frames import Kind
from tieline.wire.messages import UNWRITABLE

_encode = msgspec.msgpack.Encoder().encode


class Sending:
    """All such streams of one link. `failed(channel, error)` is told of a source that raised."""

    __slots__ = ("_failed", "_link", "_outgoing", "_tasks")

    def __init__(self, link: FrameLink, outgoing: Outgoing, failed: Callable[[int, Exception], None]) -> None:
        self._link = link
        self._outgoing = outgoing
        self._failed: Callable[[int, Exception], None] | None = failed
        self._tasks: dict[int, asyncio.Task[None]] = {}

    def call(self, method: str, timeout: float | None, params: dict[str, Any], refused: Exception) -> int:
        """Make the call and begin to send; returns its channel. `refused` says why it could not be encoded as it is.
        Raises InvalidArgument when that is for another reason than one stream among the parameters."""
        names = [name for name, value in params.items() if hasattr(value, "__aiter__")]
        if len(names) != 1:
            why = f"only one parameter can be a stream, not {', '.join(names)}" if names else _reason(refused)
            raise InvalidArgument(f"{method}: {why}") from refused
        rest = {name: value for name, value in params.items() if name != names[0]}
        try:
            payload = _encode((method, rest, timeout, True))
        except UNWRITABLE as other:
            raise InvalidArgument(f"{method}: {_reason(other)}") from other
        channel = self._link.session.call(payload, streaming=True)
        self._link.flush_soon()
        self._tasks[channel] = asyncio.get_running_loop().create_task(self._send(channel, params[names[0]]))
        return channel

    def stop(self, channel: int) -> None:
        """The call is over."""
        task = self._tasks.pop(channel, None)
        if task is not None:
            task.cancel()

    def close(self) -> None:
        """The link is gone."""
        self._failed = None
        for channel in list(self._tasks):
            self.stop(channel)

    def __len__(self) -> int:
        """Streams that are being sent."""
        return len(self._tasks)

    async def _send(self, channel: int, source: Any) -> None:
        session = self._link.session
        try:
            await self._outgoing.pump(channel, source)
            session.send(Kind.END, channel)
        except Exception as error:
            self._tasks.pop(channel, None)  # stopping the task now would cancel the closing of its source
            if self._failed is not None:
                self._failed(channel, error)
            session.send(Kind.CANCEL, channel, _encode("the caller's stream failed"))
        finally:
            self._tasks.pop(channel, None)
            self._link.flush_soon()
            await close_source(source)


def _reason(refused: Exception) -> str:
    if isinstance(refused, UnicodeEncodeError):
        return f"{refused.object[:200]!a} is not UTF-8, and what is not cannot be sent"
    return str(refused)
