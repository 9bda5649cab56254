"""JSON-RPC 2.0 by way of a peer."""

import asyncio
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.doors import json_rpc
from tieline.errors import Denied


@pytest.fixture
async def ask(house):
    @house.handlers.method("odd.raw")
    def raw() -> bytes:
        return b"\xff\0"

    @house.handlers.method("odd.wait")
    async def wait() -> None:
        await asyncio.sleep(60)

    @house.handlers.method("odd.denied")
    def denied() -> None:
        raise Denied("not you", {"who": "you"})

    @house.handlers.method("odd.broken")
    def broken() -> None:
        raise ZeroDivisionError("a detail")

    peer = house.peer("ada")

    async def asking(request):
        line = request if isinstance(request, str | bytes) else json.dumps({"jsonrpc": "2.0", "id": 7, **request})
        answered = await json_rpc.answer(peer, line)
        return None if answered is None else json.loads(answered)

    return asking


async def code(answering):
    answered = await answering
    assert answered["jsonrpc"] == "2.0"
    assert "result" not in answered
    return answered["error"]["code"]


async def test_a_call_is_answered_under_its_id(ask):
    assert await ask({"method": "echo.upper", "params": {"text": "hé"}}) == {"jsonrpc": "2.0", "result": "HÉ", "id": 7}
    assert (await ask({"method": "echo.say", "params": {"value": None}, "id": "x"})) == {
        "jsonrpc": "2.0",
        "result": None,
        "id": "x",
    }
    assert (await ask({"method": "odd.raw"}))["result"] == "/wA="


async def test_a_notification_is_carried_out_and_not_answered(ask, house):
    said = '{"jsonrpc":"2.0","method":"chat.post","params":{"room":"lobby","text":"hi","id":"1"}}'
    assert await ask(said) is None
    assert (await ask({"method": "chat.history", "params": {"room": "lobby"}}))["result"]["messages"][0]["text"] == "hi"
    assert await ask('{"jsonrpc":"2.0","method":"no.such"}') is None


async def test_each_mistake_has_its_code(ask):
    assert await code(ask("{")) == -32700
    assert await code(ask("{" * 10_000)) == -32700
    assert await code(ask(b"\xff")) == -32700
    assert await code(ask("{}")) == -32600
    assert await code(ask("[]")) == -32600
    assert await code(ask({"method": 3})) == -32600
    assert await code(ask({"method": "echo.upper", "jsonrpc": "1.0"})) == -32600
    assert await code(ask({"method": "no.such"})) == -32601
    assert await code(ask({"method": "echo.upper", "params": ["x"]})) == -32602
    assert await code(ask({"method": "echo.upper", "params": {"text": 3}})) == -32602
    assert await code(ask({"method": "echo.upper", "params": {"text": "x", "more": 1}})) == -32602
    assert await code(ask({"method": "odd.broken"})) == -32603
    assert await code(ask({"method": "echo.count", "params": {"to": 3}})) == -32000


async def test_our_own_code_and_data_come_along(ask):
    assert (await ask({"method": "odd.denied"}))["error"] == {
        "code": -32000,
        "message": "not you",
        "data": {"code": "denied", "data": {"who": "you"}},
    }
    missing = await ask({"method": "chat.post", "params": {"room": "@nobody", "text": "x", "id": "1"}})
    assert missing["error"]["code"] == -32000, "a room that is not there is no method that is not there"
    assert "a detail" not in json.dumps(await ask({"method": "odd.broken"}))


async def test_a_timeout_is_the_deadline_of_the_call(ask):
    late = await ask({"method": "odd.wait", "params": {"timeout": 0.05}})
    assert late["error"]["data"]["code"] == "deadline"
    for nonsense in (-1, 0, "x", 1e300, [1]):
        assert await code(ask({"method": "odd.wait", "params": {"timeout": nonsense}})) == -32602


@pytest.mark.parametrize("name", ["retry", "returns"])
async def test_no_parameter_reaches_the_call_itself(ask, name):
    assert await code(ask({"method": "echo.upper", "params": {"text": "x", name: "int"}})) == -32602


async def test_names_that_python_uses_are_ordinary_parameters(ask):
    assert await code(ask({"method": "echo.upper", "params": {"self": 1, "method": 2, "text": "x"}})) == -32602


async def test_an_answer_is_one_line_that_does_nothing_to_a_terminal(house):
    hostile = "\x1b]52;c;x\x07\u202e\x9b\n\r\u2028"
    line = await json_rpc.answer(
        house.peer("ada"),
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "echo.say", "params": {"value": hostile}}),
    )
    assert line.isprintable()
    assert json.loads(line)["result"] == hostile


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_any_json_is_a_request_or_an_error_that_says_why(document):
    with suppress(json_rpc.Refused):
        assert isinstance(json_rpc._read(json.dumps(document)), json_rpc.Request)
