"""The client's side of SCRAM is ours, so it is held against the library's, byte for byte."""

import base64

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scramp import ScramClient as Theirs  # type: ignore[import-untyped]
from scramp import ScramException

from tieline.errors import InvalidArgument, LoginFailed
from tieline.login.credential import PLAIN, PLUS
from tieline.login.scram import ServerSide, make_verifier
from tieline.login.scram_bounds import END_POINT, KEY_ITERATIONS, NONCE
from tieline.login.scram_client import ScramClient

BINDING = b"\x11" * 32
PLAIN_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=30)


def fixed(n: int) -> bytes:
    return bytes(range(n))


@given(
    user=PLAIN_TEXT,
    secret=PLAIN_TEXT | st.text(min_size=1, max_size=12),
    bound=st.booleans(),
    salt=st.binary(min_size=1, max_size=40),
    extension=st.sampled_from(["", ",x=1"]),
)
async def test_it_says_what_the_library_would_say(
    user: str, secret: str, bound: bool, salt: bytes, extension: str
) -> None:
    binding = BINDING if bound else None
    try:
        named = None if binding is None else (END_POINT, binding)
        theirs = Theirs([PLUS if bound else PLAIN], user, secret, named, fixed(NONCE).hex())
    except (ScramException, ValueError):
        with pytest.raises(LoginFailed):
            ScramClient(user, secret, binding, KEY_ITERATIONS, fixed)
        return
    ours = ScramClient(user, secret, binding, KEY_ITERATIONS, fixed)
    assert ours.first().decode() == theirs.get_client_first()

    first = _server_first(salt) + extension
    try:
        theirs.set_server_first(first)
    except ScramException:
        with pytest.raises(LoginFailed):
            await ours.final(first.encode())
        return
    assert (await ours.final(first.encode())).decode() == theirs.get_client_final()


@given(secret=st.text(max_size=12), bound=st.booleans())
async def test_whoever_set_a_secret_gets_in_with_it_and_both_are_proven(secret: str, bound: bool) -> None:
    try:
        verifier = make_verifier(secret, KEY_ITERATIONS, fixed)
    except InvalidArgument:
        assume(False)
    binding = BINDING if bound else None
    server, client = ServerSide(binding, fixed), ScramClient("ada/laptop", secret, binding, KEY_ITERATIONS, fixed)
    client.verify(server.final(await client.final(server.first(client.first(), verifier))))


@given(message=st.binary(max_size=60) | st.text("ersivm=,+/123456789AB \n", max_size=40).map(str.encode))
async def test_no_message_of_a_server_is_anything_but_an_answer_or_a_refusal(message: bytes) -> None:
    client = ScramClient("ada/laptop", "key", BINDING, KEY_ITERATIONS, fixed)
    for step in (client.final(message), _verify(client, message)):
        with pytest.raises(LoginFailed):
            await step


@pytest.mark.parametrize(
    "first",
    [
        "m=must,r={nonce}x,s=MDEyMzQ1Njc4OTAx,i=4096",  # RFC 5802, 5.1: an extension that is not known ends it
        "s=AAAA,r={nonce}x,i=4096",
        "r={nonce}x,s=AAA,i=4096",
        "r={nonce}x,s=,i=4096",
        "r={nonce}x,s=AAAA,i=4096",
        "r={nonce}x\n,s=MDEyMzQ1Njc4OTAx,i=4096",
        "r={nonce} x,s=MDEyMzQ1Njc4OTAx,i=4096",
        "r={nonce}x,s=MDEyMzQ1Njc4OTAx,i=4096\n",
        "e=unknown-user",
    ],
)
async def test_a_first_message_that_is_not_as_written_is_refused(first: str) -> None:
    client = ScramClient("ada/laptop", "key", BINDING, KEY_ITERATIONS, fixed)
    with pytest.raises(LoginFailed, match="cannot be used"):
        await client.final(first.format(nonce=fixed(NONCE).hex()).encode())


async def test_a_server_is_not_believed_before_it_was_sent_a_proof() -> None:
    client = ScramClient("ada/laptop", "key", BINDING, KEY_ITERATIONS, fixed)
    with pytest.raises(LoginFailed, match="could not prove"):
        client.verify(b"v=AAAA")
    assert "key" not in repr(client)


def _server_first(salt: bytes) -> str:
    return f"r={fixed(NONCE).hex()}server,s={base64.b64encode(salt).decode()},i={KEY_ITERATIONS}"


async def _verify(client: ScramClient, message: bytes) -> None:
    client.verify(message)
