"""The worked example of protocol.md: an opening, a login and calls between two sessions, as every byte that goes. Pure.

Both ends are the real code; only chance is fixed, and the nonces are short for the page's sake.
"""

import asyncio
import textwrap
from collections.abc import Iterator
from typing import Any

from tieline.limits import DEFAULT
from tieline.login.client import ClientLogin
from tieline.login.credential import PLUS, Credential
from tieline.login.scram import KEY_ITERATIONS, ServerSide, make_verifier
from tieline.wire.frames import HEADER, PREFACE, FrameCutter, Kind
from tieline.wire.messages import VERSIONS, Auth, Fault, Hello, Welcome, decode, encode
from tieline.wire.moves import Side
from tieline.wire.session import Session

BINDING = bytes(range(0x40, 0x60))
KEY = "0123456789abcdef" * 4
VERIFIER = make_verifier(KEY, KEY_ITERATIONS, lambda size: bytes(range(size)))


class Exchange:
    """Two sessions that talk; `lines` is what went, as the page shows it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._sessions = {side: Session(side, DEFAULT, 0.0) for side in Side}

    def turn(self, side: Side, kind: Kind, content: Any) -> None:
        """A frame of the opening."""
        self._sessions[side].send_turn(kind, encode(content))
        self._goes(side)

    def call(self, method: str, params: dict[str, Any], timeout: float | None = None) -> int:
        channel = self._sessions[Side.CLIENT].call(encode((method, params, timeout)))
        self._goes(Side.CLIENT)
        return channel

    def answer(self, channel: int, *frames: tuple[Kind, Any]) -> None:
        for kind, content in frames:
            self._sessions[Side.SERVER].send(kind, channel, b"" if kind is Kind.END else encode(content))
            self._goes(Side.SERVER)

    def _goes(self, side: Side) -> None:
        data = self._sessions[side].take()
        other = Side.SERVER if side is Side.CLIENT else Side.CLIENT
        self._sessions[other].receive(data, 0.0)
        self.lines += _shown(side, data)


def markdown() -> str:
    """What both sides know, and every frame with what it says and its bytes."""
    facts = {
        "SHA-256 of the certificate": BINDING.hex(),
        "the key of `ada/laptop`": KEY,
        "its verifier: salt": VERIFIER.salt.hex(),
        "rounds": str(VERIFIER.iterations),
        "stored key": VERIFIER.stored_key.hex(),
        "server key": VERIFIER.server_key.hex(),
    }
    rows = [f"| {what} | `{value}` |" for what, value in facts.items()]
    return "\n".join(["| | |", "| --- | --- |", *rows, "", "```text", *asyncio.run(_talk()), "```"])


async def _talk() -> list[str]:
    talk = Exchange()
    login = ClientLogin(Credential.key("ada", "laptop", KEY), BINDING, lambda size: b"client")
    scram = ServerSide(BINDING, lambda size: b"server")
    talk.turn(Side.CLIENT, Kind.HELLO, Hello(VERSIONS, "mine", DEFAULT.frame, DEFAULT.window))
    talk.turn(Side.SERVER, Kind.HELLO, Hello(VERSIONS, "tieline", DEFAULT.frame, DEFAULT.window, (PLUS,)))
    mechanism, first = login.first((PLUS,))
    talk.turn(Side.CLIENT, Kind.AUTH, Auth(mechanism, first))
    challenge = scram.first(first, VERIFIER)
    talk.turn(Side.SERVER, Kind.AUTH, Auth(mechanism, challenge))
    proof = await login.step(challenge) or b""
    talk.turn(Side.CLIENT, Kind.AUTH, Auth(mechanism, proof))
    signature = scram.final(proof)
    talk.turn(Side.SERVER, Kind.WELCOME, Welcome("ada", "laptop", ("chat",), "lab", signature))
    assert await login.step(signature) is None

    talk.answer(talk.call("echo.upper", {"text": "hi"}), (Kind.RESULT, "HI"))
    refusal = Fault("invalid_argument", "echo.upper: missing argument `text`")
    talk.answer(talk.call("echo.upper", {}), (Kind.ERROR, refusal))
    counting = talk.call("echo.count", {"to": 2}, 5.0)
    talk.answer(counting, (Kind.ITEM, 1), (Kind.ITEM, 2), (Kind.END, None))
    return talk.lines


def _shown(side: Side, data: bytes) -> Iterator[str]:
    """Each frame in words, and below them its header and its payload in hex."""
    if data.startswith(PREFACE):
        yield f"{side.value}: the preface"
        yield from _hex(PREFACE)
        data = data.removeprefix(PREFACE)
    cutter = FrameCutter(DEFAULT.frame)
    cutter.feed(PREFACE)
    for kind, channel, payload in cutter.feed(data):
        value = f" {_written(decode(payload))}" if payload else ""
        yield from textwrap.wrap(f"{side.value}: {Kind(kind).name} on {channel}{value}", 116, subsequent_indent="  ")
        yield from _hex(HEADER.pack(len(payload), kind, channel))
        yield from _hex(payload)


def _hex(data: bytes) -> Iterator[str]:
    for start in range(0, len(data), 32):
        yield f"    {data[start : start + 32].hex(' ')}"


def _written(value: Any) -> str:
    """As protocol.md writes values. The bytes of a login are text."""
    match value:
        case None:
            return "nil"
        case list():
            return f"[{', '.join(map(_written, value))}]"
        case dict():
            return f"{{{', '.join(f'{_written(key)}: {_written(each)}' for key, each in value.items())}}}"
        case bytes():
            return f'b"{value.decode()}"'
        case str():
            return f'"{value}"'
        case _:
            return repr(value)
