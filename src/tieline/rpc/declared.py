"""What a function says of itself: its annotations and its parameters, and what of them could not travel.

Goes in: a function, a method, an object with `__call__`, a `functools.partial`, or what a decorator with
`functools.wraps` made of one. Mistakes that would show in the first call are ConfigErrors here, with what to do.
"""

import collections.abc
import functools
import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import msgspec.inspect

from tieline.errors import ConfigError

STREAMS = (collections.abc.AsyncIterator, collections.abc.AsyncIterable, collections.abc.AsyncGenerator)
_PLAIN = (str, bytes, int, float, bool, list, dict, type(None))
"What values arrive as when nothing else is said."


def written(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Where its annotations stand: below partials, and in an object's `__call__`."""
    while isinstance(function, functools.partial):
        function = function.func
    if inspect.isroutine(function) or inspect.isclass(function):
        return function
    if not callable(function):
        raise ConfigError(name, f"{function!r} cannot be called, so it is no method")
    call: Callable[..., Any] = function.__call__  # type: ignore[operator]  # an object's, and annotated there
    return call


def hints(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    """Its annotations, strings among them resolved."""
    try:
        return typing.get_type_hints(written(name, function), include_extras=True)
    except NameError as error:
        raise ConfigError(
            name, f"an annotation cannot be resolved ({error}); define the type at module level"
        ) from error


def parameters(name: str, function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Those that a caller may give: what a partial has filled in is settled."""
    settled = function.keywords if isinstance(function, functools.partial) else ()
    found = [each for each in inspect.signature(function).parameters.values() if each.name not in settled]
    for each in found:
        if each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD, each.POSITIONAL_ONLY):
            raise ConfigError(name, f"parameter {each} cannot be called by name over a network")
    if found and found[0].name == "self" and found[0].annotation is inspect.Parameter.empty:
        raise ConfigError(name, "its self is missing: add the method of an object, not that of its class")
    return found


def waits(name: str, function: Callable[..., Any], result: Any) -> tuple[bool, bool]:
    """Whether it is a coroutine function, and whether it gives an async iterator; decorators do not hide it."""
    inner = inspect.unwrap(written(name, function))
    coroutine = inspect.iscoroutinefunction(inner)
    promised = (typing.get_origin(result) or result) in STREAMS
    if coroutine and promised:
        raise ConfigError(name, "it is an `async def` that returns a stream: yield the items in it, or leave out async")
    if inspect.isgeneratorfunction(inner):
        raise ConfigError(name, "it is a plain generator; make it an `async def`, which may yield as well")
    return coroutine, promised or inspect.isasyncgenfunction(inner)


def check_travels(name: str, params: type[msgspec.Struct], result: Any) -> None:
    """Raises ConfigError for a type of which no value could be sent, and names it."""
    for field in typing.cast(msgspec.inspect.StructType, msgspec.inspect.type_info(params)).fields:
        for alien in _aliens(field.type):
            if not any(_is(plain, alien) for plain in _PLAIN):
                raise ConfigError(name, f"parameter {field.name}: {_cannot(alien)}")
    try:
        info = msgspec.inspect.type_info(result)
    except TypeError:
        return  # what cannot be decoded may still be encoded
    for alien in _aliens(info):
        if not any(_is(plain, alien) or _is(alien, plain) for plain in _PLAIN):
            raise ConfigError(name, f"its result: {_cannot(alien)}")


def _aliens(info: msgspec.inspect.Type) -> Iterator[Any]:
    """The types in this one that msgspec knows nothing of; what has fields of its own answers for them itself."""
    if isinstance(info, msgspec.inspect.CustomType):
        yield info.cls
    elif not hasattr(info, "fields"):
        for part in msgspec.structs.astuple(info):
            for each in part if isinstance(part, tuple) else (part,):
                if isinstance(each, msgspec.inspect.Type):
                    yield from _aliens(each)


def _is(one: type, other: Any) -> bool:
    try:
        return issubclass(one, other)
    except TypeError:
        return True  # a protocol, which cannot be asked


def _cannot(alien: Any) -> str:
    return f"a {getattr(alien, '__name__', alien)} cannot be sent; a dataclass, TypedDict or msgspec.Struct can"
