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
    from tieline import sync
    from tieline.client import Client, connect
    from tieline.limits import Limits
    from tieline.login.identity import Identity
    from tieline.rpc.feeds import Subscription
    from tieline.rpc.handlers import Handlers
    from tieline.rpc.peer import Peer
    from tieline.rpc.topics import Topic
    from tieline.server import Server
    from tieline.wire.messages import Event

_HOMES = {
    "Client": "tieline.client",
    "Event": "tieline.wire.messages",
    "Handlers": "tieline.rpc.handlers",
    "Identity": "tieline.login.identity",
    "Limits": "tieline.limits",
    "Peer": "tieline.rpc.peer",
    "Server": "tieline.server",
    "Subscription": "tieline.rpc.feeds",
    "Topic": "tieline.rpc.topics",
    "connect": "tieline.client",
}

__all__ = [
    "AddressError",
    "CallError",
    "Cancelled",
    "Client",
    "ConfigError",
    "Conflict",
    "DeadlineExceeded",
    "Denied",
    "DialFailed",
    "Event",
    "Handlers",
    "Identity",
    "InternalError",
    "InvalidArgument",
    "LimitExceeded",
    "Limits",
    "LinkClosed",
    "LinkError",
    "LoginError",
    "LoginFailed",
    "NotFound",
    "Overloaded",
    "Peer",
    "PinMismatch",
    "PlainRefused",
    "ProtocolError",
    "Server",
    "Subscription",
    "TielineError",
    "TooLarge",
    "TooManyAttempts",
    "Topic",
    "Unavailable",
    "__version__",
    "connect",
    "sync",
]


def __getattr__(name: str) -> Any:
    if name == "sync":
        return importlib.import_module("tieline.sync")
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'tieline' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(home), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
