"""Functions become methods: a function's annotations are its schema, checked by msgspec before it runs.

    handlers = Handlers()
    @handlers.method("greet")
    async def greet(name: str, peer: Peer) -> str: ...

A plain function runs at once on the loop, so it must not block (`thread=True` runs it in a thread); one that returns
a future or a `Promise` is answered when that is done. `async def` runs as a task; an async generator answers with a
stream. A parameter annotated `Peer` gets the caller, one annotated `AsyncIterator[T]` the caller's stream.
"""

import collections.abc
import inspect
import re
import typing
from asyncio import Future
from collections.abc import Callable, Iterator
from concurrent.futures import Future as ThreadFuture
from copy import copy
from enum import Enum
from typing import Any, TypeVar

import msgspec

from tieline.errors import ConfigError, InvalidArgument, NotFound
from tieline.promise import Promise
from tieline.rpc import declared
from tieline.wire.messages import UNREADABLE

Function = TypeVar("Function", bound=Callable[..., Any])
_NAME = re.compile(r"[A-Za-z_][\w-]*([./][A-Za-z_][\w-]*)*")
_values = msgspec.structs.astuple


class Way(Enum):
    """How a handler runs."""

    AT_ONCE = "at once"
    FUTURE = "future"
    THREAD = "thread"
    TASK = "task"
    STREAM = "stream"


class Handler:
    """One method: the function, its schema, and who may call it."""

    __slots__ = (
        "_decode",
        "_kept_order",
        "at_once",
        "doc",
        "function",
        "item",
        "name",
        "params",
        "peer_name",
        "result",
        "scope",
        "stream_item",
        "stream_name",
        "way",
    )

    def __init__(self, name: str, function: Callable[..., Any], scope: str | None, thread: bool) -> None:
        self.name = name
        self.function = function
        self.scope = scope
        "Scope the caller needs; None: any caller who logged in."
        self.doc = inspect.getdoc(function) or ""
        hints = declared.hints(name, function)
        self.result: Any = hints.pop("return", Any)
        "The annotation of what comes back; of one item, for a stream."
        self.peer_name: str | None = None
        self.stream_name: str | None = None
        self.stream_item: Any = Any
        self.params = self._read_parameters(hints)
        "A struct type with one field for each parameter that travels."
        self._decode = msgspec.msgpack.Decoder(self.params).decode
        self.way = self._find_way(thread=thread)
        declared.check_travels(name, self.params, self.result)
        self.at_once = self.way is Way.AT_ONCE and self.stream_name is None
        "Nothing in it waits: it can be answered as it is called."

    def arguments(self, params: msgspec.Raw | bytes) -> msgspec.Struct:
        """The decoded parameters. Raises InvalidArgument that names the wrong one."""
        decode = self._decode
        try:
            return decode(params)
        except msgspec.ValidationError as error:
            raise InvalidArgument(f"{self.name}: {self._plain(str(error))}") from None
        except UNREADABLE as error:
            raise InvalidArgument(f"{self.name}: the parameters cannot be read: {error}") from None

    def invoke(self, arguments: msgspec.Struct, peer: Any, stream: Any) -> Any:
        """Call the function; `peer` and `stream` go where it wants them, if it does."""
        if self._kept_order:
            if self.peer_name is None:
                return self.function(*_values(arguments))
            return self.function(*_values(arguments), peer)
        named = dict(zip(self.params.__struct_fields__, _values(arguments), strict=True))
        if self.peer_name is not None:
            named[self.peer_name] = peer
        if self.stream_name is not None:
            named[self.stream_name] = stream
        return self.function(**named)

    def _read_parameters(self, hints: dict[str, Any]) -> type[msgspec.Struct]:
        fields: list[Any] = []
        self._kept_order = True
        parameters = declared.parameters(self.name, self.function)
        for parameter in parameters:
            field = self._read_parameter(parameter, hints.get(parameter.name, Any))
            if field is not None:
                fields.append(field)
        fields.sort(key=len)  # msgspec wants those without a default first
        order = [each.name for each in parameters if each.name not in (self.peer_name, self.stream_name)]
        self._kept_order = self._kept_order and [field[0] for field in fields] == order
        try:
            struct = msgspec.defstruct(f"{self.name} parameters", fields, forbid_unknown_fields=True, gc=False)
            msgspec.msgpack.Decoder(struct)
        except TypeError as error:
            raise ConfigError(self.name, f"its annotations cannot be a schema: {error}") from error
        return struct

    def _read_parameter(self, parameter: inspect.Parameter, hint: Any) -> tuple[Any, ...] | None:
        """The field of one that travels; None for the peer and the stream, which are noted."""
        if getattr(hint, "is_tieline_peer", False):
            self.peer_name = parameter.name
            self._kept_order = self._kept_order and parameter.kind is not parameter.KEYWORD_ONLY
            return None
        if (typing.get_origin(hint) or hint) in declared.STREAMS:
            if self.stream_name is not None:
                raise ConfigError(self.name, "only one parameter can be a stream")
            self.stream_name = parameter.name
            self.stream_item = (typing.get_args(hint) or (Any,))[0]
            self._kept_order = False
            return None
        # A positional value behind the peer, or a keyword-only one, must be passed by name.
        if self.peer_name is not None or parameter.kind is parameter.KEYWORD_ONLY:
            self._kept_order = False
        return _field(parameter, hint)

    def _find_way(self, *, thread: bool) -> Way:
        coroutine, stream = declared.waits(self.name, self.function, self.result)
        if stream:
            self.result = (typing.get_args(self.result) or (Any,))[0]
            return Way.STREAM
        if coroutine:
            return Way.TASK
        origin = typing.get_origin(self.result) or self.result
        if origin in (Future, ThreadFuture, Promise, collections.abc.Awaitable, collections.abc.Coroutine):
            self.result = (typing.get_args(self.result) or (Any,))[-1]
            return Way.FUTURE
        return Way.THREAD if thread else Way.AT_ONCE

    def _plain(self, sentence: str) -> str:
        """msgspec's sentence with the argument's name in front: "name: expected `str`, got `int`"."""
        text, _, place = sentence.partition(" - at `$.")
        text = text.replace("Object missing required field", "missing argument").replace(
            "Object contains unknown field", "unknown argument"
        )
        if text == f"unknown argument `{self.stream_name}`":
            return f"{self.stream_name}: expected a stream, which is sent by giving an async iterator"
        text = text[0].lower() + text[1:]
        return f"{place.rstrip('`')}: {text}" if place else text

    def __repr__(self) -> str:
        return f"<Handler {self.name} {self.way.value} scope={self.scope}>"


class Bound(Handler):
    """A handler for one call that came by way of somebody else: it is given who really calls."""

    __slots__ = ("_handler", "_who")

    def __init__(self, handler: Handler, who: Any) -> None:
        self._handler = handler
        self._who = who
        self.name, self.scope, self.way = handler.name, handler.scope, handler.way
        self.stream_name, self.stream_item = handler.stream_name, handler.stream_item

    def invoke(self, arguments: msgspec.Struct, peer: Any, stream: Any) -> Any:
        return self._handler.invoke(arguments, self._who, stream)


class Handlers:
    """The methods one side offers, by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, Handler] = {}

    def method(
        self, name: str | None = None, *, scope: str | None = None, thread: bool = False
    ) -> Callable[[Function], Function]:
        """Decorator: offer a function under `name` (its own by default) to callers who hold `scope`.

        Raises ConfigError for a name taken already or annotations that cannot be a schema.
        """
        if callable(name):
            raise ConfigError(getattr(name, "__name__", "method"), "write @….method() above it, with the parentheses")

        def register(function: Function) -> Function:
            self.add(function, name, scope=scope, thread=thread)
            return function

        return register

    def add(
        self, function: Callable[..., Any], name: str | None = None, *, scope: str | None = None, thread: bool = False
    ) -> Handler:
        """The same as a call."""
        title = name or getattr(function, "__name__", "")
        if not title:
            raise ConfigError("method", f"{function!r} has no name of its own; give it one: method('name')")
        if not _NAME.fullmatch(title):
            raise ConfigError(title, "a method name is words of letters, digits, _ and -, joined by . or /")
        if title in self._by_name:
            raise ConfigError(title, "this method exists already; give one of the two another name")
        handler = self._by_name[title] = Handler(title, function, scope, thread)
        return handler

    def get(self, name: str) -> Handler | None:
        """None when there is none of this name."""
        return self._by_name.get(name)

    def find(self, name: str) -> Handler:
        """Raises NotFound."""
        try:
            return self._by_name[name]
        except KeyError:
            raise no_method(name) from None

    def __iter__(self) -> Iterator[Handler]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name


def no_method(name: str) -> NotFound:
    """What is called is not there."""
    return NotFound(f"no method {name[:80]!r} here; `tieline methods` lists them", {"method": name[:80]})


def _field(parameter: inspect.Parameter, hint: Any) -> tuple[Any, ...]:
    if parameter.default is parameter.empty:
        return (parameter.name, hint)
    default: Any = parameter.default
    if isinstance(default, (list, dict, set, bytearray)):
        return (parameter.name, hint, msgspec.field(default_factory=lambda: copy(default)))
    return (parameter.name, hint, default)
