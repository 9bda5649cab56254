"""The server's description of its methods, in few words."""

from typing import Any

import pytest

from tieline.apps.cli.catalogue import type_name


@pytest.mark.parametrize(
    ("schema", "shown"),
    [
        ({"type": "integer"}, "int"),
        ({"type": ["string", "null"]}, "str | null"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "float | null"),
        ({"type": "array", "items": {"$ref": "#/components/schemas/Message"}}, "list[Message]"),
        ({"type": "array"}, "list"),
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, "dict[str, bool]"),
        ({"type": "object"}, "object"),
        ({"type": "string", "contentEncoding": "base64"}, "bytes"),
        ({"type": "string", "format": "date-time"}, "date-time"),
        ({"enum": ["a", "b"]}, "'a' | 'b'"),
        ({"const": 3}, "3"),
        ({}, "any"),
    ],
)
def test_types(schema: dict[str, Any], shown: str) -> None:
    assert type_name(schema, {}) == shown
