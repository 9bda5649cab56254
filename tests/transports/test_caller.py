import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tieline.transports.caller import Caller, caller_of


@pytest.mark.parametrize(
    ("first", "caller"),
    [
        (b"\x16\x03\x01\x02\x00\x01", Caller.TLS),
        (b"\xf7tieline/1\n", Caller.NATIVE),
        (b"GET / HTTP/1.1\r\n", Caller.HTTP),
        (b"POST /x", Caller.HTTP),
        (b"GET\r\n\r\n", Caller.HTTP),
        (b"PROPFIND / HTTP/1.1\r\n", Caller.HTTP),
        (b"PRI * HTTP/2.0\r\n", Caller.HTTP),
        (b"XYZZY /a/b HTTP/1.1\r\nHost: x\r\n", Caller.HTTP),
        (b"get / HTTP/1.1\r\n", Caller.HTTP),
        (b"\r\nGET / HTTP/1.1\r\n", Caller.HTTP),
        (b"SSH-2.0-OpenSSH_9.9\r\n", Caller.SSH),
        (b"", Caller.PERSON),
        (b"ada\n", Caller.PERSON),
        (b"Ada\n", Caller.PERSON),
        (b"Grace\n", Caller.PERSON),
        (b"GETTY\n", Caller.PERSON),
        (b"P\n", Caller.PERSON),
        (b'{"method": "echo.upper"}\n', Caller.PERSON),
        (b"\xff\xfd\x03", Caller.PERSON),  # telnet's own negotiation
        (b"\xc3\xa9mile\n", Caller.PERSON),
        (b"\x00", Caller.PERSON),
    ],
)
def test_each_caller_is_known_by_its_first_bytes(first, caller):
    assert caller_of(first) is caller


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"])
def test_http_that_comes_byte_by_byte_is_http_from_its_first_byte_on(method):
    request = f"{method} / HTTP/1.1\r\n\r\n".encode()
    assert {caller_of(request[:n]) for n in range(1, len(request) + 1)} == {Caller.HTTP}


@pytest.mark.parametrize("whole", [b"\x16\x03\x01\x00\x05hello", b"\xf7tieline/1\n", b"ada\n"])
def test_the_first_byte_decides_for_everybody_else(whole):
    assert len({caller_of(whole[:n]) for n in range(1, len(whole) + 1)}) == 1


@given(st.binary(max_size=400))
@example(b"S")
@example(b"\r\n")
def test_any_bytes_have_a_caller_and_only_text_can_be_http(first):
    caller = caller_of(first)
    assert isinstance(caller, Caller)
    if caller is Caller.HTTP:
        assert first[:1] < b"\x7f"


token = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-!#$%&'*+.^_`|~", min_size=1, max_size=20)


@given(token, st.text("abc/?=&%", min_size=1, max_size=100))
def test_a_whole_request_line_is_http_whatever_its_method(method, target):
    assert caller_of(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) is Caller.HTTP
