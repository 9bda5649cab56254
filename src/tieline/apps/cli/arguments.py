"""Parameters of a call as typed on a command line: one JSON object, or key=value words. Pure."""

import json
from collections.abc import Sequence
from typing import Any

from tieline.errors import ConfigError


def read_parameters(words: Sequence[str]) -> dict[str, Any]:
    """`{"to": 3}`, or `to=3 name=Ada tags=["a"]`: a value that reads as JSON is that, any other is a string."""
    if len(words) == 1 and words[0].lstrip().startswith("{"):
        return _object(words[0])
    parameters: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise ConfigError("argument", f"{word!r} is neither key=value nor a JSON object")
        if key in parameters:
            raise ConfigError("argument", f"{key!r} is given twice")
        parameters[key] = _value(value)
    return parameters


def _object(text: str) -> dict[str, Any]:
    try:
        return dict(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise ConfigError("argument", f"this is not a JSON object: {error}") from error


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return text


def _refuse(word: str) -> Any:
    # Python's json reads NaN and Infinity, which are no JSON; here they are words like any other.
    raise ValueError(word)
