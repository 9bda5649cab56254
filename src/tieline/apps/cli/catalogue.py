"""The server's own description of its methods (an OpenRPC document), as words for people. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Entry:
    """One method: its name, its parameters and result as a signature, who may call it, and what it does."""

    name: str
    signature: str
    scope: str
    streams: bool
    about: str


def entries(document: Mapping[str, Any]) -> list[Entry]:
    """The methods of the document, sorted by name."""
    found = [_entry(method, document) for method in document.get("methods", ())]
    return sorted(found, key=lambda entry: entry.name)


def _entry(method: Mapping[str, Any], document: Mapping[str, Any]) -> Entry:
    parameters = ", ".join(_parameter(each, document) for each in method.get("params", ()))
    streams = bool(method.get("x-stream"))
    result = type_name(method.get("result", {}).get("schema", {}), document)
    return Entry(
        name=method["name"],
        signature=f"({parameters}) -> {'stream of ' if streams else ''}{result}",
        scope=method.get("x-scope") or "",
        streams=streams,
        about=method.get("summary", "").partition("\n")[0],
    )


def _parameter(parameter: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    name, schema = parameter["name"], parameter.get("schema", {})
    stream = "stream of " if parameter.get("x-stream") else ""
    text = f"{name}: {stream}{type_name(schema, document)}"
    if parameter.get("required"):
        return text
    return f"{text} = {schema['default']!r}" if schema.get("default") is not None else f"{text}?"


def type_name(schema: Schema, document: Mapping[str, Any]) -> str:
    """A JSON schema in the words of Python: int, str, list[str], int | null, "a" | "b", Message."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if "enum" in schema:
        return " | ".join(repr(value) for value in schema["enum"])
    if "const" in schema:
        return repr(schema["const"])
    for word in ("anyOf", "oneOf"):
        if word in schema:
            return " | ".join(type_name(each, document) for each in schema[word])
    kind = schema.get("type")
    if isinstance(kind, list):
        return " | ".join(type_name({**schema, "type": each}, document) for each in kind)
    return _of_kind(kind, schema, document)


_PLAIN = {"integer": "int", "number": "float", "string": "str", "boolean": "bool", "null": "null"}


def _of_kind(kind: Any, schema: Schema, document: Mapping[str, Any]) -> str:
    if kind == "string" and schema.get("contentEncoding") == "base64":
        return "bytes"
    if kind in _PLAIN:
        return str(schema.get("format") if schema.get("format") in ("date-time", "uuid") else _PLAIN[kind])
    if kind == "array":
        return f"list[{type_name(schema['items'], document)}]" if schema.get("items") else "list"
    if kind == "object":
        values = schema.get("additionalProperties")
        if isinstance(values, Mapping):
            return f"dict[str, {type_name(values, document)}]"
        return str(schema.get("title", "object"))
    return "any"
