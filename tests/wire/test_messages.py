import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.errors import ProtocolError
from tieline.wire.messages import Auth, Call, Event, Fault, GoAway, Hello, Welcome, encode, read

TEXT = st.text(max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | TEXT | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
NUMBERS = st.integers(0, 2**40)
MESSAGES = st.one_of(
    st.builds(Hello, st.tuples(NUMBERS), TEXT, NUMBERS, NUMBERS, st.tuples(TEXT)),
    st.builds(Auth, TEXT, st.binary()),
    st.builds(Welcome, TEXT, TEXT, st.tuples(TEXT, TEXT), TEXT, st.binary()),
    st.builds(Call, TEXT, VALUES.map(lambda value: msgspec.Raw(encode(value))), st.none() | st.floats(0, 9e9)),
    st.builds(Fault, TEXT, TEXT, VALUES),
    st.builds(Event, TEXT, NUMBERS, VALUES),
    st.builds(GoAway, TEXT, st.none() | st.floats(0, 9e9), TEXT),
)
ALL = [Hello, Auth, Welcome, Call, Fault, Event, GoAway]


@given(MESSAGES)
def test_what_is_written_is_read(message):
    assert read(type(message), encode(message)) == message


@given(MESSAGES, VALUES)
def test_fields_of_a_later_version_are_ignored(message, extra):
    fields = msgspec.msgpack.decode(encode(message))
    while len(fields) < len(message.__struct_fields__):
        fields.append(None)
    assert read(type(message), encode([*fields, extra])) == message


@pytest.mark.parametrize("kind", ALL)
@given(data=st.binary(max_size=60))
def test_other_bytes_are_a_protocol_error_and_nothing_else(kind, data):
    with contextlib.suppress(ProtocolError):
        assert isinstance(read(kind, data), kind)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("unit", [b"\x91", b"\x81\xa1a", b"\x81\x91"])
def test_nesting_ten_thousand_deep_is_a_protocol_error(kind, unit):
    with pytest.raises(ProtocolError):
        read(kind, b"\x98" + unit * 10_000 + b"\xc0")


@pytest.mark.parametrize("kind", [Fault, Event])
def test_deep_nesting_where_any_value_may_stand_is_a_protocol_error(kind):
    head = b"\x93\xa1a\xa1b" if kind is Fault else b"\x93\xa1a\x01"
    with pytest.raises(ProtocolError):
        read(kind, head + b"\x91" * 1_000_000 + b"\xc0")


def test_text_that_is_no_utf8_is_a_protocol_error():
    with pytest.raises(ProtocolError):
        read(Auth, b"\x92\xa1\xff\xc4\x00")


def test_a_length_with_nothing_behind_it_allocates_nothing():
    with pytest.raises(ProtocolError):
        read(Event, b"\x93\xa1t\x01\xdd\xff\xff\xff\xff")
