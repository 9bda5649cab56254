"""What the frames' payloads say: msgspec structs, encoded as MessagePack arrays. Unknown trailing fields are ignored.

RESULT and ITEM carry any value, DATA raw bytes, CREDIT an integer (bytes), END, PING and PONG nothing.
"""

from typing import Any

import msgspec

from tieline.errors import ProtocolError

VERSIONS = (1,)


class Hello(msgspec.Struct, array_like=True, frozen=True):
    """The first frame of each side. The client's has no mechanisms."""

    versions: tuple[int, ...]
    agent: str
    frame: int
    "Bytes: largest frame payload the sender of this accepts, once logged in."
    window: int
    "Bytes: credit the sender of this gives each stream from the start."
    mechanisms: tuple[str, ...] = ()


class Auth(msgspec.Struct, array_like=True, frozen=True):
    """One step of the login exchange; each names the same mechanism."""

    mechanism: str
    data: bytes


class Welcome(msgspec.Struct, array_like=True, frozen=True):
    """Logged in. `data` is the server's last login step, by which the client proves the server."""

    account: str
    device: str
    scopes: tuple[str, ...]
    server: str
    data: bytes = b""


class Origin(msgspec.Struct, array_like=True, frozen=True):
    """Who calls, in a call that a server passes on. Believed from a server only."""

    link: int
    "The caller's link, as the server numbers them: the same number is the same link."
    account: str
    device: str
    scopes: tuple[str, ...]
    via: str = "native"
    guest: bool = False


class Call(msgspec.Struct, array_like=True, frozen=True):
    """Opens a channel."""

    method: str
    params: msgspec.Raw
    timeout: float | None = None
    "Seconds left when it was sent."
    streaming: bool = False
    "True when the caller sends a stream as well: one of the parameters, left out of `params`."
    origin: Origin | None = None
    "For whom a server passes the call on; a server takes no notice of one that a client sends."


class Fault(msgspec.Struct, array_like=True, frozen=True):
    """Payload of ERROR."""

    code: str
    message: str
    data: Any = None


class Event(msgspec.Struct, array_like=True, frozen=True):
    """One entry of a topic's log. Positions count from 1 without a gap."""

    topic: str
    position: int
    value: Any


class GoAway(msgspec.Struct, array_like=True, frozen=True):
    """No new calls; the link closes when the open ones are finished."""

    reason: str
    retry_after: float | None = None
    "Seconds; None when calling again is no use."
    code: str = ""
    "`login` when the login failed, `protocol`, `revoked`, `closing`, …: for programs."


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.decode
UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
"What decoding bytes of others can raise; ValidationError is the first of them when the type was wrong."
UNWRITABLE = (TypeError, ValueError, OverflowError, RecursionError)
"What encoding a value can raise that MessagePack cannot hold."


def read(kind: type[Any], payload: bytes) -> Any:
    """Decode a control message. Raises ProtocolError when it is not one."""
    try:
        return msgspec.msgpack.decode(payload, type=kind)
    except UNREADABLE as error:
        raise ProtocolError(f"not a valid {kind.__name__}: {error}") from error
