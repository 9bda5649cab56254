"""Every codec: whole, a byte at a time and with a tail; two in a packet are two; errors name codec and option."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tieline
from tieline.errors import ConfigError, LimitExceeded, ProtocolError
from tieline.wire.inbox import MORE, Inbox

CASES = [
    (tieline.Lines(), ["", "hello", "größe", " x "]),
    (tieline.Lines("gbk"), ["你好", ""]),
    (tieline.Lines(newline="\r"), ["a\nb", "c"]),
    (tieline.LengthPrefixed(), [b"", b"hello", b"\0" * 300]),
    (tieline.LengthPrefixed("<H"), [b"", b"x" * 65535]),
    (tieline.LengthPrefixed("i"), [b"", b"native"]),
    (tieline.LengthPrefixed("B"), [b"x" * 255, b""]),
    (tieline.JsonLines(), [None, "", [], {"a": [1, "\n"]}, 1.5, False]),
    (tieline.JsonValues(), [None, "", [], {"a": ["}", '\\"']}, 12, -1.5, True, "x\\"]),
    (tieline.Delimited(b"\0"), [b"", b"hello", b"\n"]),
    (tieline.Delimited(b"aab"), [b"", b"a", b"ab", b"ba"]),
    (tieline.Fixed(3), [b"abc", b"\0\0\0"]),
]
IDS = [repr(codec) for codec, _ in CASES]


def taken(codec, inbox):
    messages = []
    while (message := codec.decode(inbox)) is not MORE:
        messages.append(message)
    return messages


@pytest.mark.parametrize(("codec", "messages"), CASES, ids=IDS)
def test_whole(codec, messages):
    for message in messages:
        assert taken(codec, Inbox(codec.encode(message))) == [message]


@pytest.mark.parametrize(("codec", "messages"), CASES, ids=IDS)
def test_a_byte_at_a_time(codec, messages):
    inbox, got = Inbox(), []
    for byte in b"".join(codec.encode(message) for message in messages):
        inbox.feed(bytes([byte]))
        got += taken(codec, inbox)
    assert got == messages
    assert not len(inbox) or codec == tieline.JsonValues()  # only the newline after a number is read with the next


@pytest.mark.parametrize(("codec", "messages"), CASES, ids=IDS)
def test_all_in_one_packet_with_a_tail(codec, messages):
    tail = codec.encode(messages[-1])[:-1]
    inbox = Inbox(b"".join(codec.encode(message) for message in messages) + tail)
    assert taken(codec, inbox) == messages
    inbox.feed(codec.encode(messages[-1])[-1:])
    assert taken(codec, inbox) == messages[-1:]


def test_raw_gives_what_is_there():
    inbox = Inbox(b"ab")
    assert taken(tieline.Raw(), inbox) == [b"ab"]
    assert tieline.Raw().encode(bytearray(b"x")) == b"x"


# -- what one may meet on the wire -----------------------------------------------------------------------------------


def test_lines_end_with_either_newline_and_the_last_with_none():
    inbox = Inbox(b"one\r\ntwo\nthree", ended=True)
    assert taken(tieline.Lines(), inbox) == ["one", "two", "three"]
    assert taken(tieline.Lines(), Inbox(b"", ended=True)) == []


def test_json_lines_skips_blank_lines_and_takes_the_last_without_newline():
    assert taken(tieline.JsonLines(), Inbox(b"1\n\r\n \n[2]", ended=True)) == [1, [2]]


def test_json_values_need_nothing_between_them():
    assert taken(tieline.JsonValues(), Inbox(b'{"a":1}[2]"x"true null\n\t-1.5e3 {}1')) == [
        {"a": 1},
        [2],
        "x",
        True,
        None,
        -1500.0,
        {},
    ]
    assert taken(tieline.JsonValues(), Inbox(b"12", ended=True)) == [12]
    assert taken(tieline.JsonValues(), Inbox(b"[1", ended=True)) == []


def test_an_unfinished_message_at_the_end_is_none():
    for codec, data in [
        (tieline.LengthPrefixed(), b"\0\0\0\5abc"),
        (tieline.Fixed(9), b"abc"),
        (tieline.Delimited(b"|"), b"abc"),
        (tieline.JsonValues(), b'{"a'),
    ]:
        assert taken(codec, Inbox(data, ended=True)) == []


@pytest.mark.parametrize(
    ("codec", "data", "error", "says"),
    [
        (tieline.LengthPrefixed("i"), struct.pack("i", -1), ProtocolError, "LengthPrefixed.*'i'.*-1"),
        (tieline.LengthPrefixed("!I"), b"\xff\xff\xff\xff", LimitExceeded, "LengthPrefixed message is 4,294,967,295"),
        (tieline.LengthPrefixed("!I", limit=4), b"\0\0\0\5", LimitExceeded, "limit is 4"),
        (tieline.LengthPrefixed("!q"), struct.pack("!q", -(2**63)), ProtocolError, "LengthPrefixed"),
        (tieline.Lines(), b"\xff\n", ProtocolError, "Lines.*encoding='utf-8'"),
        (tieline.Lines(limit=3), b"abcd", LimitExceeded, "line is 4, the limit is 3"),
        (tieline.JsonLines(), b"{\n", ProtocolError, "JsonLines"),
        (tieline.JsonLines(), b"[" * 100_000 + b"\n", ProtocolError, "JsonLines"),
        (tieline.JsonLines(limit=3), b"[1,2]\n", LimitExceeded, "JsonLines"),
        (tieline.JsonValues(), b"nope", ProtocolError, "JsonValues"),
        (tieline.JsonValues(), b"}", ProtocolError, "JsonValues"),
        (tieline.JsonValues(), b"[}", ProtocolError, "JsonValues"),
        (tieline.JsonValues(), b"[" * 100_000 + b"]" * 100_000, ProtocolError, "JsonValues"),
        (tieline.JsonValues(limit=3), b'"abcdefg', LimitExceeded, "JsonValues"),
        (tieline.JsonValues(limit=3), b"12345 ", LimitExceeded, "JsonValues"),
        (tieline.Delimited(b"|", limit=3), b"abcd|", LimitExceeded, "Delimited"),
    ],
)
def test_what_is_no_message_is_refused_by_name(codec, data, error, says):
    with pytest.raises(error, match=says):
        taken(codec, Inbox(data))


@pytest.mark.parametrize(
    ("codec", "message", "error", "says"),
    [
        (tieline.Raw(), "text", ProtocolError, "Raw sends bytes, not str"),
        (tieline.Raw(), 7, ProtocolError, "Raw sends bytes, not int"),
        (tieline.Lines(), b"bytes", ProtocolError, "Lines sends text, not bytes"),
        (tieline.Lines(), "a\nb", ProtocolError, "newline"),
        (tieline.Lines("ascii"), "ä", ProtocolError, "encoding='ascii'"),
        (tieline.Lines(limit=3), "abcd", LimitExceeded, "line is 4"),
        (tieline.LengthPrefixed("B"), b"x" * 256, LimitExceeded, "format='B'.*255"),
        (tieline.LengthPrefixed("b"), b"x" * 128, LimitExceeded, "127"),
        (tieline.LengthPrefixed(limit=1), b"xx", LimitExceeded, "LengthPrefixed"),
        (tieline.Fixed(3), b"xx", ProtocolError, r"Fixed\(size=3\)"),
        (tieline.Delimited(b"|"), b"a|b", ProtocolError, "Delimited.*delimiter"),
        (tieline.Delimited(b"aa"), b"xa", ProtocolError, "Delimited.*delimiter"),
        (tieline.JsonLines(), object(), ProtocolError, "JsonLines cannot send"),
        (tieline.JsonValues(limit=2), [1, 2], LimitExceeded, "JsonValues"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(codec, message, error, says):
    with pytest.raises(error, match=says) as caught:
        codec.encode(message)
    assert getattr(caught.value, "remote", False) is False


@pytest.mark.parametrize(
    ("make", "option"),
    [
        (lambda: tieline.Lines("klingon"), "encoding"),
        (lambda: tieline.Lines("utf-16"), "encoding"),
        (lambda: tieline.Lines(errors="never"), "errors"),
        (lambda: tieline.Lines(newline=""), "newline"),
        (lambda: tieline.Lines(newline="ä"), "newline"),
        (lambda: tieline.Lines(limit=0), "limit"),
        (lambda: tieline.LengthPrefixed("!II"), "format"),
        (lambda: tieline.LengthPrefixed("f"), "format"),
        (lambda: tieline.LengthPrefixed("!n"), "format"),
        (lambda: tieline.LengthPrefixed(4), "format"),
        (lambda: tieline.LengthPrefixed(limit="1"), "limit"),
        (lambda: tieline.JsonLines(limit=-1), "limit"),
        (lambda: tieline.JsonValues(limit=True), "limit"),
        (lambda: tieline.Delimited(b""), "delimiter"),
        (lambda: tieline.Delimited("\n"), "delimiter"),
        (lambda: tieline.Fixed(0), "size"),
        (lambda: tieline.Fixed(1.5), "size"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(make, option):
    with pytest.raises(ConfigError) as caught:
        make()
    assert caught.value.setting == option


def test_codecs_are_values():
    assert tieline.Lines(limit=5) == tieline.Lines(limit=5) != tieline.Lines()
    with pytest.raises(AttributeError):
        tieline.Lines().limit = 3


def test_without_a_limit_of_its_own_a_codec_has_the_links():
    with pytest.raises(LimitExceeded):
        tieline.LengthPrefixed().decode(Inbox(b"\0\0\0\5hello", limit=4))
    assert tieline.LengthPrefixed(limit=5).decode(Inbox(b"\0\0\0\5hello", limit=4)) == b"hello"


class Netstrings:
    """The example of the module's docstring."""

    def encode(self, message):
        return b"%d:%b," % (len(message), message)

    def decode(self, inbox):
        size, colon, _ = inbox.peek(8).partition(b":")
        whole = inbox.exactly(int(size) + 1, skip=len(size) + 1) if colon else MORE
        return whole if whole is MORE else whole[:-1]


def test_a_codec_of_ones_own_is_two_methods():
    inbox, got = Inbox(), []
    for byte in b"5:hello,0:,":
        inbox.feed(bytes([byte]))
        got += taken(Netstrings(), inbox)
    assert got == [b"hello", b""]


# -- round trips -----------------------------------------------------------------------------------------------------

_text = st.text(st.characters(codec="utf-8", exclude_characters="\n")).filter(lambda text: not text.endswith("\r"))
_string = st.text(st.characters(codec="utf-8"))
_number = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
_json = st.recursive(
    st.none() | st.booleans() | _number | _string,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_string, inner, max_size=4),
)
_any = st.one_of(
    st.tuples(st.just(tieline.Lines()), st.lists(_text)),
    st.tuples(st.just(tieline.LengthPrefixed("<H")), st.lists(st.binary())),
    st.tuples(st.just(tieline.JsonLines()), st.lists(_json)),
    st.tuples(st.just(tieline.JsonValues()), st.lists(_json)),
    st.tuples(st.just(tieline.Fixed(4)), st.lists(st.binary(min_size=4, max_size=4))),
    st.tuples(st.just(tieline.Delimited(b"\xff\0")), st.lists(st.binary().filter(lambda one: b"\xff" not in one))),
)


@given(_any, st.data())
def test_whatever_is_sent_arrives_however_it_is_cut(case, data):
    codec, messages = case
    stream = b"".join(codec.encode(message) for message in messages)
    inbox, got = Inbox(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        inbox.feed(stream[:size])
        stream = stream[size:]
        got += taken(codec, inbox)
    assert got == messages


_hostile = st.one_of(
    st.binary(max_size=200), st.text(' \n[]{}",:\\0123456789-+.eEtruefalsn', max_size=80).map(str.encode)
)


@given(
    st.sampled_from([codec for codec, _ in CASES]), st.lists(_hostile, max_size=6), st.sampled_from([8, 64, 1 << 20])
)
def test_fuzz_no_bytes_hang_a_codec_grow_it_or_raise_what_it_has_not_announced(codec, pieces, limit):
    """Fuzz: whatever comes, decode ends, takes only what there is, and raises ProtocolError or LimitExceeded only."""
    inbox, total, left = Inbox(limit=limit), 0, 0
    try:
        for piece in pieces:
            inbox.feed(piece)
            total += len(piece)
            for message in taken(codec, inbox):
                assert message is not MORE
            assert len(inbox) <= total
            left = len(inbox)
        inbox.ended = True
        taken(codec, inbox)
        assert len(inbox) <= left
    except (ProtocolError, LimitExceeded) as error:
        named = type(codec).__name__ in str(error) or "line" in str(error)
        assert named


@given(st.sampled_from([codec for codec, _ in CASES]), _hostile, st.data())
def test_fuzz_how_bytes_are_cut_changes_nothing(codec, stream, data):
    """Fuzz: any bytes give the same messages, and the same end, whole or in pieces."""

    def read(pieces):
        inbox, got = Inbox(), []
        try:
            for piece in pieces:
                inbox.feed(piece)
                got += taken_into(got, codec, inbox)
            inbox.ended = True
            taken_into(got, codec, inbox)
        except (ProtocolError, LimitExceeded) as error:
            return got, type(error)
        return got, len(inbox)

    def taken_into(got, codec, inbox):
        while (message := codec.decode(inbox)) is not MORE:
            got.append(message)
        return []

    cut = data.draw(st.integers(0, len(stream)))
    assert read([stream[:cut], stream[cut:]]) == read([stream])
