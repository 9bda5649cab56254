"""The stream that is sent with a call: the one parameter that is an async iterator, by a task of its own.

Until it ends, fails (then the call does), or the call is over. Every source is closed.
"""

from typing import Any

from tieline.errors import InvalidArgument, not_utf8
from tieline.link.frame_link import FrameLink
from tieline.rpc.open_calls import OpenCalls
from tieline.rpc.outgoing import Outgoing, close_source
from tieline.wire.frames import Kind
from tieline.wire.messages import UNWRITABLE, encode


def stream_apart(method: str, timeout: float | None, params: dict[str, Any], refused: Exception) -> tuple[bytes, Any]:
    """Of a call that could not be encoded as it is, for the reason `refused`: the rest of it, and its stream. Raises
    InvalidArgument when that is for another reason than one stream among the parameters."""
    names = [name for name, value in params.items() if hasattr(value, "__aiter__")]
    if len(names) != 1:
        why = f"only one parameter can be a stream, not {', '.join(names)}" if names else _reason(refused)
        raise InvalidArgument(f"{method}: {why}") from refused
    rest = {name: value for name, value in params.items() if name != names[0]}
    try:
        return encode((method, rest, timeout, True)), params[names[0]]
    except UNWRITABLE as other:
        raise InvalidArgument(f"{method}: {_reason(other)}") from other


async def send_stream(source: Any, channel: int, link: FrameLink, outgoing: Outgoing, calls: OpenCalls) -> None:
    """Send all of `source` on the channel of its call."""
    try:
        await outgoing.pump(channel, source)
        link.session.send(Kind.END, channel)
    except Exception as error:  # the source is the user's, and may raise anything
        calls.sources.pop(channel, None)  # to be stopped now would cancel the closing of the source
        calls.fail(channel, error)
        link.session.send(Kind.CANCEL, channel, encode("the caller's stream failed"))
    finally:
        calls.sources.pop(channel, None)
        link.flush_soon()
        await close_source(source)


def _reason(refused: Exception) -> str:
    return str(not_utf8(refused) if isinstance(refused, UnicodeEncodeError) else refused)
