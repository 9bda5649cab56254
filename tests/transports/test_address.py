import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.errors import AddressError
from tieline.transports.address import SCHEMES, Address, parse

PIN = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lab:9000", Address(host="lab", port=9000)),
        ("lab", Address(host="lab", port=7788)),
        (":7789", Address(port=7789)),
        ("*:0", Address(port=0)),
        ("10.0.0.7:1", Address(host="10.0.0.7", port=1)),
        ("[::1]:9000", Address(host="::1", port=9000)),
        ("[fe80::1%eth0]", Address(host="fe80::1%eth0")),
        ("TLS://lab", Address(scheme="tls", host="lab")),
        ("udp://:5", Address(scheme="udp", port=5)),
        ("unix:/run/tie.sock", Address(scheme="unix", port=0, path="/run/tie.sock")),
        ("unix:///run/tie.sock", Address(scheme="unix", port=0, path="/run/tie.sock")),
        ("unix:tie.sock", Address(scheme="unix", port=0, path="tie.sock")),
        ("wss://lab/rpc", Address(scheme="wss", host="lab", path="/rpc")),
        (f"tls://lab?pin={PIN}", Address(scheme="tls", host="lab", pin=PIN)),
        ("tieline://lab/ada", Address(scheme="tieline", host="lab", account="ada")),
        (
            f"tieline://lab:9/ada%20b?pin={PIN}#id-s3cr3t",
            Address(scheme="tieline", host="lab", port=9, account="ada b", pin=PIN, secret="id-s3cr3t"),
        ),
    ],
)
def test_every_spelling_people_use_is_read(text, expected):
    assert parse(text) == expected
    assert parse(str(expected)) == expected


def test_a_bare_address_takes_the_scheme_its_reader_means():
    assert parse("lab:1", scheme="tls") == Address(scheme="tls", host="lab", port=1)
    assert parse("tcp://lab:1", scheme="tls").scheme == "tcp"


def test_a_pin_may_be_written_the_way_openssl_prints_it():
    openssl = ":".join(PIN[i : i + 2] for i in range(0, 64, 2)).upper()
    assert parse(f"tls://lab?pin={openssl}").pin == PIN


def test_what_is_no_text_says_what_is_wanted():
    for wrong in (None, ("127.0.0.1", 7788)):
        with pytest.raises(AddressError, match="not text; expected host:port"):
            parse(wrong)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", "is empty"),
        ("lab:http", "'http'"),
        ("lab:65536", "65535"),
        ("lab:-1", "'-1'"),
        ("lab:", "''"),
        ("lab:٣", "0 to 65535"),
        ("::1:9", "brackets: [::1:9]:7788"),
        ("::1:7788", "brackets: [::1]:7788"),
        ("fe80::2", "brackets: [fe80::2]:7788"),
        ("[::1", "[address]:port"),
        ("[::1]9", "[address]:port"),
        ("[lab]:9", "'lab'"),
        ("ada@lab", "tieline://host/account"),
        ("ftp://lab", "'ftp'"),
        ("unix://", "names no file"),
        ("tcp://lab/rpc", "/rpc"),
        ("tcp://", "names no host"),
        ("tcp://lab?pin=" + PIN, "means nothing here"),
        ("tls://lab?key=1", "?key="),
        ("tls://lab?pin=abc", "64 hex digits"),
        ("tls://lab#secret", "only a ticket"),
        ("tieline://lab/ada/eve", "one account"),
        ("tieline://:7788/ada", "must name"),
        ("la b:1", "'la b'"),
        ("lab\x1b[2J:1", "not a host name"),
    ],
)
def test_what_is_wrong_with_an_address_is_named(text, names):
    with pytest.raises(AddressError) as caught:
        parse(text)
    assert names in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_secret_is_shown_by_str_only_and_never_in_an_error():
    ticket = parse(f"tieline://lab/ada?pin={PIN}#id-s3cr3t")
    assert "s3cr3t" in str(ticket)
    assert "s3cr3t" not in repr(ticket)
    assert "s3cr3t" not in ticket.where
    with pytest.raises(AddressError) as caught:
        parse("tieline://lab:http/ada#id-s3cr3t")
    assert "s3cr3t" not in str(caught.value)


hosts = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\.[a-z]{2,5})?", fullmatch=True),
    st.ip_addresses().map(str),
)
texts = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20)
ports = st.integers(0, 65535)


@st.composite
def addresses(draw):
    scheme = draw(st.sampled_from(SCHEMES))
    if scheme == "unix":
        path = draw(texts.filter(lambda path: not path.startswith("//")))
        return Address(scheme="unix", port=0, path=path)
    host, port = draw(hosts), draw(ports)
    pin = draw(st.sampled_from(["", PIN])) if scheme in ("tls", "wss", "tieline") else ""
    if scheme == "tieline":
        account = draw(texts.filter(lambda name: "/" not in name))
        secret = draw(st.one_of(st.just(""), texts))
        return Address(scheme=scheme, host=host, port=port, account=account, pin=pin, secret=secret)
    path = "/" + draw(texts) if scheme in ("ws", "wss") else ""
    return Address(scheme=scheme, host=host, port=port, path=path, pin=pin)


@given(addresses())
def test_an_address_survives_being_written_and_read(address):
    assert parse(str(address)) == address


@given(st.text(max_size=60))
def test_any_text_is_either_an_address_that_round_trips_or_an_address_error(text):
    try:
        address = parse(text)
    except AddressError:
        return
    assert parse(str(address)) == address
