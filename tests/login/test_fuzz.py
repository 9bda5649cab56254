"""Whatever bytes come, at whatever step: LoginFailed, and nothing else is ever raised."""

import asyncio
import base64

from hypothesis import given, settings
from hypothesis import strategies as st

from tieline.errors import LoginFailed
from tieline.login.client import ClientLogin
from tieline.login.credential import PLAIN, PLUS, Credential
from tieline.login.scram import ServerSide

from .conftest import BINDING, verifier_of

VERIFIER = verifier_of("the key")
NONCE = bytes(range(24)).hex()

ATTRIBUTES = ["n=", "r=", "s=", "i=", "c=", "p=", "v=", "e=", "m=", "a=", "x=", ",", ",,", "=", "=2C", "=3D", "y", "n"]
VALUES = ["4096", "0", "-1", "9" * 5000, "p=tls-server-end-point", "p=tls-unique", "ada/laptop", NONCE, "AAAA", "biws"]
ODD = ["\x00", "é", "\u202e", "א", "\ufdfa", "invalid-proof", base64.b64encode(bytes(32)).decode()]
BOUND = base64.b64encode(b"p=tls-server-end-point,," + BINDING).decode()

words = st.sampled_from([*ATTRIBUTES, *VALUES, *ODD, BOUND])
nearly = (
    st.lists(words | st.text(max_size=3), max_size=14).map("".join).map(lambda text: text.encode("utf-8", "ignore"))
)
anything = st.binary(max_size=200) | nearly


def counting(n: int) -> bytes:
    return bytes(range(n))


@settings(max_examples=400)
@given(anything, st.sampled_from([None, BINDING]))
def test_any_first_message_at_the_server_is_a_user_or_refused(data: bytes, binding: bytes | None) -> None:
    server = ServerSide(binding, counting)
    try:
        assert server.user(data)
        server.first(data, VERIFIER)
    except LoginFailed:
        pass


@settings(max_examples=400)
@given(anything, st.sampled_from([None, BINDING]))
def test_no_made_up_proof_is_ever_taken(data: bytes, binding: bytes | None) -> None:
    server = ServerSide(binding, counting)
    flag = b"n,," if binding is None else b"p=tls-server-end-point,,"
    server.first(flag + b"n=ada/laptop,r=" + NONCE.encode(), VERIFIER)
    try:
        server.final(data)
    except LoginFailed:
        return
    raise AssertionError("a random proof was taken")


@settings(max_examples=200)
@given(anything, anything, st.sampled_from([None, BINDING]))
def test_no_made_up_server_is_ever_believed(first: bytes, final: bytes, binding: bytes | None) -> None:
    async def play() -> None:
        client = ClientLogin(Credential.key("ada", "laptop", "the key"), binding, counting)
        client.first((PLUS, PLAIN))
        for data in (first, final):
            try:
                await client.step(data)
            except LoginFailed:
                break
        assert not client.proven

    asyncio.run(play())


@settings(max_examples=100)
@given(st.binary(max_size=5000))
def test_a_message_of_any_length_is_refused_at_every_step(data: bytes) -> None:
    server = ServerSide(None, counting)
    for step in (server.user, lambda text: server.first(text, VERIFIER)):
        try:
            step(data)
        except LoginFailed:
            pass
