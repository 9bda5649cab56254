"""What telnet mixes into the bytes a person types."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.doors.telnet import Telnet

IAC, SE, NOP, IP, SB, WILL, WONT, DO, DONT = 255, 240, 241, 244, 250, 251, 252, 253, 254
ECHO, TIMING_MARK, TERMINAL = 1, 6, 24


def strip(*pieces):
    telnet = Telnet()
    return b"".join(telnet.strip(piece) for piece in pieces), telnet


@pytest.mark.parametrize(
    ("sent", "typed"),
    [
        (b"hello\n", b"hello\n"),
        (bytes([IAC, NOP]) + b"hello", b"hello"),
        (b"he" + bytes([IAC, DO, TERMINAL]) + b"llo", b"hello"),
        (bytes([IAC, SB, TERMINAL, 0]) + b"xterm" + bytes([IAC, SE]) + b"hello", b"hello"),
        (bytes([IAC, SB, TERMINAL, IAC, IAC, WILL, 10, IAC, SE]) + b"hello", b"hello"),
        (b"\xff\xffhello", b"\xffhello"),
        (b"caf\xff\n", b"caf\xff\n"),  # a program that does not mean telnet at all
        (bytes([IAC, IP, IAC, DO, TIMING_MARK]) + b"hello", b"hello"),
    ],
)
def test_commands_are_not_typed_text_wherever_the_bytes_are_cut(sent, typed):
    assert strip(sent)[0] == typed
    for cut in range(len(sent)):
        assert strip(sent[:cut], sent[cut:])[0] == typed
    assert strip(*(bytes([byte]) for byte in sent))[0] == typed


def test_everything_offered_and_asked_for_is_declined():
    _, telnet = strip(bytes([IAC, DO, TERMINAL, IAC, WILL, 31, IAC, DO, TIMING_MARK]))
    assert telnet.spoken
    assert telnet.replies == bytes([IAC, WONT, TERMINAL, IAC, DONT, 31, IAC, WONT, TIMING_MARK])


def test_refusals_are_not_answered_so_that_it_ends():
    _, telnet = strip(bytes([IAC, DONT, ECHO, IAC, WONT, 31, IAC, DO, ECHO]))
    assert telnet.spoken
    assert telnet.replies == b""


def test_who_never_spoke_telnet_is_not_spoken_to_in_it():
    _, telnet = strip(b"ada\n", b"caf\xff\n")
    assert not telnet.spoken
    assert telnet.replies == b""


@given(st.binary(max_size=200), st.integers(0, 200))
def test_any_bytes_cut_anywhere_mean_the_same(data, cut):
    whole, once = strip(data)
    parts, twice = strip(data[:cut], data[cut:])
    assert (whole, once.replies, once.spoken) == (parts, twice.replies, twice.spoken)
    assert len(once.replies) <= 3 * len(data)
