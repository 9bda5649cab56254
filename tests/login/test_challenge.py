"""The shared-key challenge for raw links."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.errors import ConfigError
from tieline.login.challenge import NONCE, Challenge

KEY = b"a shared key"


@pytest.mark.parametrize("digest", ["sha256", "md5", "sha1", "blake2b", "sha3_512"])
@pytest.mark.parametrize("legacy", [False, True])
def test_who_has_the_key_can_answer_and_nobody_else(digest: str, legacy: bool) -> None:
    ours, theirs = Challenge(KEY, digest, legacy), Challenge(KEY, digest, legacy)
    nonce = ours.nonce()
    answer = theirs.answer(nonce)
    assert len(nonce) == NONCE
    assert len(answer) == ours.answer_size
    assert ours.verify(nonce, answer)
    assert not ours.verify(ours.nonce(), answer), "an old answer fits no new nonce"
    assert not ours.verify(nonce, Challenge(b"another", digest, legacy).answer(nonce))


def test_the_legacy_answer_is_what_old_programs_send() -> None:
    assert Challenge(b"k", "md5", legacy=True).answer(b"n") == hashlib.md5(b"kn").hexdigest().encode()


def test_both_sides_prove_themselves_in_the_mutual_form() -> None:
    client, server = Challenge(KEY, mutual=True), Challenge(KEY, mutual=True)
    c, s = client.nonce(), server.nonce()
    assert server.verify(s, client.answer(s, own=c, side="client"), theirs=c, side="client")
    assert client.verify(c, server.answer(c, own=s, side="server"), theirs=s, side="server")


def test_our_own_answer_sent_back_to_us_proves_nothing() -> None:
    client = Challenge(KEY, mutual=True)
    c = client.nonce()
    # A false server sends the client's nonce back, and then the client's answer.
    reflected = client.answer(c, own=c, side="client")
    assert not client.verify(c, reflected, theirs=c, side="server")
    # Even an honest answer of the right side counts for nothing when both nonces are the same.
    assert not client.verify(c, client.answer(c, own=c, side="server"), theirs=c, side="server")


def test_an_answer_for_one_pair_of_nonces_fits_no_other() -> None:
    challenge = Challenge(KEY, mutual=True)
    answer = challenge.answer(b"ab", own=b"c")
    assert not challenge.verify(b"a", answer, theirs=b"bc")


@given(st.binary(max_size=100), st.binary(max_size=100), st.booleans(), st.booleans())
def test_any_bytes_are_no_answer_and_no_error(nonce: bytes, answer: bytes, legacy: bool, mutual: bool) -> None:
    challenge = Challenge(KEY, legacy=legacy, mutual=mutual and not legacy)
    assert not challenge.verify(nonce, answer, theirs=b"x")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Challenge(b""),
        lambda: Challenge(KEY, "rot13"),
        lambda: Challenge(KEY, "shake_128"),
        lambda: Challenge(KEY, legacy=True, mutual=True),
    ],
)
def test_settings_that_prove_nothing_are_refused(make: object) -> None:
    with pytest.raises(ConfigError):
        make()  # type: ignore[operator]


def test_the_key_is_not_shown() -> None:
    assert "shared" not in repr(Challenge(KEY))
