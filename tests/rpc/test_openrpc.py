"""The handlers, described."""

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import msgspec
import pytest

from tieline.rpc.handlers import Handlers
from tieline.rpc.openrpc import Entry, document, entries, type_name
from tieline.rpc.peer import Peer


class Point(msgspec.Struct):
    """Somewhere."""

    x: int
    y: int = 0


@pytest.fixture
def handlers():
    handlers = Handlers()

    @handlers.method("shapes.move", scope="shapes")
    async def move(by: int, peer: Peer, *, shape: list[Point], why: str | None = None, tags: list[str] = []) -> Point:  # noqa: B006
        """Move a shape.

        All of its points.
        """

    @handlers.method("count")
    async def count(to: Annotated[int, msgspec.Meta(ge=1)] = 3) -> AsyncIterator[bytes]:
        yield b""

    @handlers.method("sum")
    async def total(numbers: AsyncIterator[int], scale: float = 1.0) -> float: ...

    @handlers.method("bare")
    def bare(anything, kind: Literal["a", "b"]): ...

    @handlers.method("nothing")
    def nothing() -> None: ...

    return handlers


def by_name(described):
    return {method["name"]: method for method in described["methods"]}


def test_a_method_has_its_parameters_result_scope_and_documentation(handlers):
    move = by_name(document(handlers, title="here", version="1"))["shapes.move"]
    assert move["summary"] == "Move a shape."
    assert move["description"] == "All of its points."
    assert move["x-scope"] == "shapes"
    assert move["paramStructure"] == "by-name"
    assert {parameter["name"]: (parameter["required"], parameter["schema"]) for parameter in move["params"]} == {
        "by": (True, {"type": "integer"}),
        "shape": (True, {"type": "array", "items": {"$ref": "#/components/schemas/Point"}}),
        "why": (False, {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}),
        "tags": (False, {"type": "array", "items": {"type": "string"}, "default": []}),
    }
    assert move["result"] == {"name": "result", "schema": {"$ref": "#/components/schemas/Point"}}


def test_types_with_a_name_are_described_once(handlers):
    described = document(handlers, title="here", version="1")
    assert set(described["components"]["schemas"]) == {"Point"}
    assert described["components"]["schemas"]["Point"]["description"] == "Somewhere."


def test_streams_either_way_are_marked_and_described_by_their_items(handlers):
    methods = by_name(document(handlers, title="here", version="1"))
    assert methods["count"]["x-stream"] is True
    assert methods["count"]["result"]["schema"] == {"type": "string", "contentEncoding": "base64"}
    (scale, numbers) = methods["sum"]["params"]
    assert numbers == {"name": "numbers", "required": False, "schema": {"type": "integer"}, "x-stream": True}
    assert "x-stream" not in scale
    assert "x-stream" not in methods["sum"]


def test_what_has_no_annotation_may_be_anything(handlers):
    bare = by_name(document(handlers, title="here", version="1"))["bare"]
    assert [parameter["schema"] for parameter in bare["params"]] == [{}, {"enum": ["a", "b"]}]
    assert bare["result"]["schema"] == {}


def test_the_document_is_json_that_says_who_is_described(handlers):
    described = msgspec.json.decode(msgspec.json.encode(document(handlers, title="here", version="1")))
    assert described["info"] == {"title": "here", "version": "1"}
    assert described["openrpc"].startswith("1.")
    assert [method["name"] for method in described["methods"]] == ["bare", "count", "nothing", "shapes.move", "sum"]


def test_for_people_each_method_is_one_line(handlers):
    assert entries(handlers) == [
        Entry("bare", "(anything: Any, kind: 'a' | 'b') -> Any", None, ""),
        Entry("count", "(to: int = 3) -> stream of bytes", None, "", True),
        Entry("nothing", "() -> None", None, ""),
        Entry(
            "shapes.move",
            "(by: int, shape: list[Point], why: str | None = None, tags: list[str] = []) -> Point",
            "shapes",
            "Move a shape.",
        ),
        Entry("sum", "(scale: float = 1.0, numbers: stream of int) -> float", None, ""),
    ]


def test_annotations_read_as_they_are_written():
    for hint, text in (
        (dict[str, list[int]], "dict[str, list[int]]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (Any, "Any"),
        (None, "None"),
        (int | None, "int | None"),
    ):
        assert type_name(hint) == text
