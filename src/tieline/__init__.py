"""Tieline: one server on one port, typed functions as methods, rooms, verified callers.

    server = tieline.Server(data=":memory:", guests=True)
    async with tieline.connect("tcp://127.0.0.1:7788") as peer: ...

Names are loaded when first used, so that a command line that needs few of them starts fast.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tieline.errors import (
    AddressError,
    CallError,
    Cancelled,
    ConfigError,
    Conflict,
    DeadlineExceeded,
    Denied,
    DialFailed,
    InternalError,
    InvalidArgument,
    LimitExceeded,
    LinkClosed,
    LinkError,
    LoginError,
    LoginFailed,
    NotFound,
    NotTieline,
    Overloaded,
    PinMismatch,
    PlainRefused,
    ProtocolError,
    TielineError,
    TooLarge,
    TooManyAttempts,
    Unavailable,
)
from tieline.version import __version__

if TYPE_CHECKING:
    from tieline import commands, files, sync, testing
    from tieline.client import Client, connect
    from tieline.limits import Limits
    from tieline.link.datagram_opening import datagrams
    from tieline.link.datagrams import Datagrams
    from tieline.link.dialled import dial
    from tieline.link.link import Link
    from tieline.link.talks import Talks, listen
    from tieline.login.challenge import Challenge
    from tieline.login.identity import Identity
    from tieline.message_ids import message_id
    from tieline.rpc.handlers import Handlers
    from tieline.rpc.peer import Peer
    from tieline.rpc.stream import Stream
    from tieline.rpc.subscription import Subscription
    from tieline.rpc.topic import Topic
    from tieline.server import Server
    from tieline.wire.codecs import Codec, Fixed, LengthPrefixed, Raw
    from tieline.wire.inbox import MORE, Inbox
    from tieline.wire.json_codecs import JsonLines, JsonValues
    from tieline.wire.keyring import Keyring
    from tieline.wire.messages import Event
    from tieline.wire.sealed import Key
    from tieline.wire.text_codecs import Delimited, Lines

_HOMES = {
    "Challenge": "tieline.login.challenge",
    "Client": "tieline.client",
    "Codec": "tieline.wire.codecs",
    "Datagrams": "tieline.link.datagrams",
    "Delimited": "tieline.wire.text_codecs",
    "Event": "tieline.wire.messages",
    "Fixed": "tieline.wire.codecs",
    "Handlers": "tieline.rpc.handlers",
    "Identity": "tieline.login.identity",
    "Inbox": "tieline.wire.inbox",
    "JsonLines": "tieline.wire.json_codecs",
    "JsonValues": "tieline.wire.json_codecs",
    "Key": "tieline.wire.sealed",
    "Keyring": "tieline.wire.keyring",
    "LengthPrefixed": "tieline.wire.codecs",
    "Limits": "tieline.limits",
    "Lines": "tieline.wire.text_codecs",
    "Link": "tieline.link.link",
    "MORE": "tieline.wire.inbox",
    "Peer": "tieline.rpc.peer",
    "Raw": "tieline.wire.codecs",
    "Server": "tieline.server",
    "Stream": "tieline.rpc.stream",
    "Subscription": "tieline.rpc.subscription",
    "Talks": "tieline.link.talks",
    "Topic": "tieline.rpc.topic",
    "connect": "tieline.client",
    "datagrams": "tieline.link.datagram_opening",
    "dial": "tieline.link.dialled",
    "listen": "tieline.link.talks",
    "message_id": "tieline.message_ids",
}

_MODULES = ("commands", "files", "sync", "testing")

__all__ = [
    "MORE",
    "AddressError",
    "CallError",
    "Cancelled",
    "Challenge",
    "Client",
    "Codec",
    "ConfigError",
    "Conflict",
    "Datagrams",
    "DeadlineExceeded",
    "Delimited",
    "Denied",
    "DialFailed",
    "Event",
    "Fixed",
    "Handlers",
    "Identity",
    "Inbox",
    "InternalError",
    "InvalidArgument",
    "JsonLines",
    "JsonValues",
    "Key",
    "Keyring",
    "LengthPrefixed",
    "LimitExceeded",
    "Limits",
    "Lines",
    "Link",
    "LinkClosed",
    "LinkError",
    "LoginError",
    "LoginFailed",
    "NotFound",
    "NotTieline",
    "Overloaded",
    "Peer",
    "PinMismatch",
    "PlainRefused",
    "ProtocolError",
    "Raw",
    "Server",
    "Stream",
    "Subscription",
    "Talks",
    "TielineError",
    "TooLarge",
    "TooManyAttempts",
    "Topic",
    "Unavailable",
    "__version__",
    "commands",
    "connect",
    "datagrams",
    "dial",
    "files",
    "listen",
    "message_id",
    "sync",
    "testing",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"tieline.{name}")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tieline' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
