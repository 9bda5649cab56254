"""The handlers, described: as an OpenRPC document (spec.open-rpc.org) for programs, as one line each for people.

Goes in: `Handlers`. Comes out: plain data. A method or parameter that is a stream carries `x-stream: true`, and its
schema is that of one item; a method that needs a scope names it as `x-scope`.
"""

import types
import typing
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Union

import msgspec

from tieline.rpc.handlers import Handler, Handlers, Way

OPENRPC = "1.3.2"
_REFERENCE = "#/components/schemas/{name}"


class Entry(msgspec.Struct, frozen=True):
    """One method, for people to read: `echo.upper`, `(text: str) -> str`."""

    name: str
    signature: str
    scope: str | None
    about: str
    "The first line of its documentation."
    streams: bool = False
    "True when it answers with a stream."


def entries(handlers: Iterable[Handler]) -> list[Entry]:
    """One for each method, by name."""
    found = (
        Entry(each.name, _signature(each), each.scope, _about(each)[0], each.way is Way.STREAM) for each in handlers
    )
    return sorted(found, key=lambda entry: entry.name)


def document(handlers: Handlers, *, title: str, version: str) -> dict[str, Any]:
    """All methods as an OpenRPC document. Parameters go by name."""
    ordered = sorted(handlers, key=lambda handler: handler.name)
    schemas = _Schemas(ordered)
    return {
        "openrpc": OPENRPC,
        "info": {"title": title, "version": version},
        "methods": [_method(handler, schemas) for handler in ordered],
        "components": {"schemas": schemas.components},
    }


def type_name(hint: Any) -> str:
    """An annotation as one would write it: `list[str] | None`."""
    if hint is None or hint is type(None):
        return "None"
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return type_name(arguments[0])
    if origin is Literal:
        return " | ".join(map(repr, arguments))
    if origin in (Union, types.UnionType):
        return " | ".join(map(type_name, arguments))
    if origin is not None:
        return f"{type_name(origin)}[{', '.join('...' if each is ... else type_name(each) for each in arguments)}]"
    return getattr(hint, "__name__", None) or str(hint)


def _signature(handler: Handler) -> str:
    parameters = [_parameter_text(field) for field in msgspec.structs.fields(handler.params)]
    if handler.stream_name is not None:
        parameters.append(f"{handler.stream_name}: stream of {type_name(handler.stream_item)}")
    stream = "stream of " if handler.way is Way.STREAM else ""
    return f"({', '.join(parameters)}) -> {stream}{type_name(handler.result)}"


def _parameter_text(field: msgspec.structs.FieldInfo) -> str:
    text = f"{field.name}: {type_name(field.type)}"
    if field.required:
        return text
    return f"{text} = {_default(field)!r}"


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else None


def _about(handler: Handler) -> tuple[str, str]:
    first, _, rest = handler.doc.partition("\n")
    return first, rest.strip()


def _method(handler: Handler, schemas: "_Schemas") -> dict[str, Any]:
    summary, description = _about(handler)
    method: dict[str, Any] = {
        "name": handler.name,
        "paramStructure": "by-name",
        "params": [_parameter(field, schemas) for field in msgspec.structs.fields(handler.params)],
        "result": {"name": "result", "schema": schemas.of(handler.result)},
    }
    if handler.stream_name is not None:
        schema = schemas.of(handler.stream_item)
        method["params"].append({"name": handler.stream_name, "required": False, "schema": schema, "x-stream": True})
    extras = {
        "summary": summary,
        "description": description,
        "x-scope": handler.scope,
        "x-stream": handler.way is Way.STREAM,
    }
    return method | {name: value for name, value in extras.items() if value}


def _parameter(field: msgspec.structs.FieldInfo, schemas: "_Schemas") -> dict[str, Any]:
    schema = dict(schemas.of(field.type))
    if not field.required:
        schema["default"] = msgspec.to_builtins(_default(field), enc_hook=str)
    return {"name": field.name, "required": field.required, "schema": schema}


class _Schemas:
    """The JSON schemas of all types the handlers use, those with a name as components that are referred to."""

    def __init__(self, handlers: Iterable[Handler]) -> None:
        self._hints = [hint for handler in handlers for hint in _hints(handler) if _has_schema(hint)]
        found, self.components = msgspec.json.schema_components(self._hints, ref_template=_REFERENCE)
        self._found = list(found)

    def of(self, hint: Any) -> dict[str, Any]:
        """Empty, which allows everything, for a type that JSON has no schema for."""
        for known, schema in zip(self._hints, self._found, strict=True):
            if known is hint or known == hint:
                return schema
        return {}


def _hints(handler: Handler) -> list[Any]:
    parameters = [field.type for field in msgspec.structs.fields(handler.params)]
    return [*parameters, handler.result, *([handler.stream_item] if handler.stream_name is not None else [])]


def _has_schema(hint: Any) -> bool:
    try:
        msgspec.json.schema(hint)
    except (TypeError, NotImplementedError):
        return False
    return True
