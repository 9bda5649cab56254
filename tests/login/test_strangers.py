"""Whoever answers in place of a Tieline server is called what it is."""

import asyncio

import pytest

import tieline
from tieline.errors import DialFailed, LinkClosed, LinkError, NotTieline, PlainRefused, ProtocolError
from tieline.login.strangers import stranger
from tieline.transports.address import parse

BROKEN_PIPE = LinkClosed("the peer vanished (broken pipe)")


@pytest.mark.parametrize(
    ("address", "error", "said"),
    [
        (
            "127.0.0.1:22",
            NotTieline(b"SSH-2.0-OpenSSH_9.2p1\r\n"),
            "an SSH server and no Tieline server: check",
        ),
        ("127.0.0.1:80", NotTieline(b"HTTP/1.1 400 Bad Request\r\n"), "a web server and no Tieline server"),
        ("127.0.0.1:80", NotTieline(b"<!DOCTYPE HTML>"), "a web server"),
        ("127.0.0.1:25", NotTieline(b"220 mail.example ESMTP\r\n"), "a mail or FTP server"),
        ("127.0.0.1:9", NotTieline(b"\x00\x01"), "whose answer begins with b'\\x00\\x01' and no Tieline server"),
        ("127.0.0.1:9", ProtocolError("a frame too long"), "no working Tieline server: a frame too long"),
        ("127.0.0.1:9", BROKEN_PIPE, "is that a Tieline server, and is it not overloaded?"),
        ("10.0.0.9:7788", BROKEN_PIPE, "elsewhere use a ticket, or tls://"),
    ],
)
def test_what_answers_is_named_and_what_to_do(address: str, error: LinkError, said: str) -> None:
    told = stranger(parse(address), error)
    assert isinstance(told, DialFailed)
    assert said in str(told)
    assert "Errno" not in str(told)


def test_a_server_that_takes_no_plain_text_is_not_another_program() -> None:
    refused = NotTieline(f"{PlainRefused()}\r\n".encode())
    assert isinstance(stranger(parse("10.0.0.9:7788"), refused), PlainRefused)


async def test_who_hangs_up_without_a_word_is_not_a_broken_pipe() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        with pytest.raises(DialFailed, match="is that a Tieline server"):
            async with tieline.connect(f"tcp://127.0.0.1:{port}"):
                pass
