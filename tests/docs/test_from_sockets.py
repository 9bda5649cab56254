"""Every row of docs/howto/from-sockets.md is run here: the code of its middle column stands in the test of its row."""

import asyncio
import inspect
import io
import os
import re
import socket
import threading

import pytest

import tieline
import tieline.sync

ROWS = {}
LOCAL = "tcp://127.0.0.1:0"


def row(name):
    def keep(test):
        ROWS[name] = test
        return test

    return keep


async def talk(link):
    async for message in link:
        await link.send(message)


async def said(address, message=b"x", **options):
    async with tieline.dial(address, **options) as link:
        await link.send(message)
        return await link.receive()


class Peer:
    """The other side, bare."""

    def __init__(self, listener):
        self.sock = socket.create_connection(("127.0.0.1", listener.port), timeout=10)

    async def say(self, *pieces):
        for piece in pieces:
            await asyncio.to_thread(self.sock.sendall, piece)
        return await asyncio.to_thread(self.sock.recv, 65536)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()


# -- making a server -------------------------------------------------------------------------------------------------


@row("`socket()`")
async def _():
    async with tieline.listen("tcp://127.0.0.1:0", talk) as listener:
        assert await said(listener.address) == b"x"


@row("`bind`")
async def _():
    async with tieline.listen("tcp://:0", talk) as listener:
        for host in ["127.0.0.1", "[::1]"] if socket.has_dualstack_ipv6() else ["127.0.0.1"]:
            assert await said(f"tcp://{host}:{listener.port}") == b"x"
        with pytest.raises(tieline.AddressError, match="in use by"):
            await tieline.listen(f"tcp://127.0.0.1:{listener.port}", talk).__aenter__()


@row("`SO_REUSEADDR`")
async def _():
    address = LOCAL
    for _ in range(3):
        async with tieline.listen(address, talk, reuse_address=True) as listener:
            address = listener.address
            assert await said(address) == b"x"


@row("`SO_REUSEPORT`")
async def _():
    async with tieline.listen(LOCAL, talk, reuse_port=True) as listener:
        address = listener.address
        async with tieline.listen(address, talk, reuse_port=True):
            assert await said(address) == b"x"


@row("`listen`")
async def _():
    address = LOCAL
    async with tieline.listen(address, talk, backlog=100) as listener:
        assert await said(listener.address) == b"x"


@row("`accept`")
async def _():
    async def talk(link):
        await link.receive()
        await link.send(b"mine")

    async with tieline.listen(LOCAL, talk) as listener, tieline.dial(listener.address) as silent:
        assert await said(listener.address) == b"mine"
        assert silent.is_open


@row("`create_server`")
async def _(tmp_path):
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "a.sock"))
    dead.close()
    code = 'tieline.listen("unix:/tmp/a.sock", talk, mode=0o660)'.replace("/tmp", str(tmp_path))
    async with eval(code) as listener:
        assert await said(listener.address) == b"x"
        assert (tmp_path / "a.sock").stat().st_mode & 0o777 == 0o660


@row("`ssl.wrap_socket`")
async def _():
    async with tieline.listen("tls://127.0.0.1:0", talk) as listener:
        assert "?pin=" in listener.address
        assert await said(listener.address) == b"x"


# -- making a client -------------------------------------------------------------------------------------------------


@row("`connect`")
async def _():
    async with tieline.listen(LOCAL, talk) as listener:
        address = listener.address.replace("127.0.0.1", "localhost")
        async with tieline.dial(address) as link:
            assert link.is_open


@row("`create_connection`")
async def _():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tls://127.0.0.1:{silent.getsockname()[1]}?pin={'0' * 64}"
        with pytest.raises(tieline.DialFailed, match=r"no answer within 0\.1 s"):
            await tieline.dial(address, timeout=0.1).__aenter__()
    async with tieline.listen(LOCAL, talk) as listener:
        address = listener.address
        async with tieline.dial(address, timeout=2) as link:
            assert link.is_open


@row("`connect_ex`")
async def _():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        address = f"tcp://127.0.0.1:{gone.getsockname()[1]}"
    try:
        await said(address)
    except tieline.DialFailed as error:
        reason, number = str(error), error.__cause__.errno
    assert "nobody listens there" in reason
    assert os.strerror(number) == "Connection refused"


@row("`getaddrinfo`")
async def _():
    async with tieline.listen(LOCAL, talk) as listener:
        dial = 'tieline.dial("tcp://localhost:8888")'.replace("8888", str(listener.port))
        async with eval(dial) as link:
            assert link.info.loopback


@row("`socketpair`")
async def _():
    async with tieline.listen("memory:name", talk), tieline.dial("memory:name") as link:
        await link.send(b"x")
        assert await link.receive() == b"x"


# -- bytes and messages ----------------------------------------------------------------------------------------------


@row("`recv`")
async def _():
    got = []

    async def talk(link):
        for _ in range(2):
            message = await link.receive()
            got.append(message)
        await link.send("done")

    async with tieline.listen(LOCAL, talk, codec=tieline.Lines()) as listener:
        with Peer(listener) as peer:
            assert await peer.say(b"hel", b"lo\nwor", b"ld\n") == b"done\n"
    assert got == ["hello", "world"]


@row("`recv(1024)`")
async def _():
    async with tieline.listen(LOCAL, talk, codec=tieline.Raw()) as listener:
        with Peer(listener) as peer:
            assert await peer.say(b"abc") == b"abc"


@row("`recv(n)` in a loop")
async def _():
    async def talk(link):
        n = 5
        head = await link.receive_exactly(n)
        await link.send(head)
        try:
            await link.receive_exactly(n)
        except tieline.LinkClosed as error:
            ends.append(str(error))

    ends = []
    async with tieline.listen(LOCAL, talk) as listener:
        with Peer(listener) as peer:
            assert await peer.say(b"ab", b"cdefg") == b"abcde"
        while not ends:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert ends == ["the peer closed the link after 2 of 5 bytes"]


@row('`recv` returning `b""`')
async def _():
    async with (
        tieline.listen("memory:empty", talk, codec=tieline.LengthPrefixed()) as listener,
        tieline.dial(listener.address, codec=tieline.LengthPrefixed()) as link,
    ):
        await link.send(b"")
        assert await link.receive() == b""
        link.finish()
        assert await link.receive() is None


@row("`recv_into`")
async def _():
    file = io.BytesIO()

    async def talk(link):
        size = 1_000_000
        await link.receive_into(file, size)
        await link.send(b"stored")

    async with tieline.listen(LOCAL, talk) as listener:
        assert await said(listener.address, bytes(1_000_000)) == b"stored"
    assert file.getvalue() == bytes(1_000_000)


@row("`recv` with `MSG_PEEK`")
async def _():
    class Marked:
        def encode(self, message):
            return b"mark" + message

        def decode(self, inbox):
            return inbox.exactly(1, skip=4) if inbox.peek(4) == b"mark" else tieline.MORE

    async with tieline.listen(LOCAL, talk, codec=Marked()) as listener:
        with Peer(listener) as peer:
            assert await peer.say(b"ma", b"rk1") == b"mark1"


@row("`send`")
async def _():
    message = bytes(5_000_000)

    async def talk(link):
        await link.send(message)

    async with tieline.listen(LOCAL, talk) as listener, tieline.dial(listener.address) as link:
        assert b"".join([piece async for piece in link]) == message


@row("`sendall`")
async def _():
    sent = 0

    async def talk(link):
        nonlocal sent
        message = bytes(100_000)
        while True:
            await link.send(message)
            sent += 1

    async with tieline.listen(LOCAL, talk, send_buffer=100_000) as listener:
        with Peer(listener):
            await asyncio.sleep(0.05)
            assert sent < 1000
            async with tieline.dial(listener.address) as other:
                assert await other.receive()


@row("`sendmsg`")
async def _():
    one, two = "one", "two"

    async def talk(link):
        await link.send(one)
        await link.send(two)
        await link.receive()

    async with tieline.listen(LOCAL, talk, codec=tieline.Lines()) as listener:
        with Peer(listener) as peer:
            assert await peer.say() == b"one\ntwo\n"


@row("`sendfile`")
async def _(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 8000)

    async def talk(link):
        with path.open("rb") as file:
            await link.send_file(file)

    for place in (LOCAL, "tls://127.0.0.1:0"):
        async with tieline.listen(place, talk) as listener, tieline.dial(listener.address) as link:
            assert b"".join([piece async for piece in link]) == path.read_bytes()


@row("`makefile`")
async def _():
    async def talk(link):
        async for line in link:
            await link.send(line.title())

    async with tieline.listen(LOCAL, talk, codec=tieline.Lines(), limits=tieline.Limits(frame=100)) as listener:
        with Peer(listener) as peer:
            assert await peer.say(b"one\r\ntw", b"o\n") in (b"One\n", b"One\nTwo\n")
        with Peer(listener) as peer:
            assert await peer.say(b"x" * 200) == b""


@row("`struct.unpack` of a length")
async def _():
    async with tieline.listen(LOCAL, talk, codec=tieline.LengthPrefixed("!I")) as listener:
        with Peer(listener) as peer:
            assert await peer.say(b"\0\0\0\2hi") == b"\0\0\0\2hi"
            assert await peer.say(b"\xff\xff\xff\xff") == b""


@row("`json.loads(recv(…))`")
async def _():
    async def talk(link):
        await link.send([await link.receive(), await link.receive()])

    async with tieline.listen(LOCAL, talk, codec=tieline.JsonValues()) as listener:
        with Peer(listener) as peer:
            assert await peer.say(b'{"a":1}{"b"', b":2}") == b'[{"a":1},{"b":2}]'


# -- datagrams -------------------------------------------------------------------------------------------------------


@row("`recvfrom`")
async def _():
    def answer(message, sender):
        return message.upper()

    async with tieline.datagrams("udp://127.0.0.1:0", answer) as endpoint:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bare:
            bare.settimeout(10)
            bare.connect(("127.0.0.1", int(endpoint.address.rpartition(":")[2])))
            for message in (b"abc", b""):
                await asyncio.to_thread(bare.send, message)
                assert await asyncio.to_thread(bare.recv, 100) == message.upper()


@row("`sendto`")
async def _():
    async with (
        tieline.datagrams("udp://127.0.0.1:0", lambda message, sender: message) as server,
        tieline.datagrams(to=server.address) as endpoint,
    ):
        assert await endpoint.request(b"hello") == b"hello"


# -- options, times and ends -----------------------------------------------------------------------------------------


@row("`settimeout`")
async def _():
    async with tieline.listen(LOCAL, talk) as listener, tieline.dial(listener.address) as link:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await link.receive()
        await link.send(b"x")
        assert await link.receive() == b"x"

        def blocking(address):
            with tieline.sync.dial(address) as link, pytest.raises(tieline.DeadlineExceeded):
                link.receive(timeout=0.01)

        await asyncio.to_thread(blocking, listener.address)


@row("`setblocking`")
async def _():
    def blocking(address):
        with tieline.sync.dial(address) as link:
            link.send(b"x")
            return link.receive()

    async with tieline.listen(LOCAL, talk) as listener:
        assert await asyncio.to_thread(blocking, listener.address) == b"x"


@row("`setdefaulttimeout`")
async def _():
    async with tieline.listen(LOCAL, talk, limits=tieline.Limits(idle=60, opening=5)) as listener:
        assert await said(listener.address) == b"x"
    async with (
        tieline.listen(LOCAL, talk, limits=tieline.Limits(idle=0.05)) as listener,
        tieline.dial(listener.address) as link,
    ):
        assert await link.receive() is None


@row("`setsockopt`")
async def _():
    async with tieline.listen(LOCAL, talk) as listener:
        address = listener.address
        async with tieline.dial(
            address, no_delay=True, keep_alive=True, send_buffer=65536, receive_buffer=65536
        ) as link:
            assert link.socket.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) in (65536, 131072)
        with pytest.raises(tieline.ConfigError, match="send_buffer"):
            await tieline.dial(address, send_buffer="much").__aenter__()


@row("`getsockopt`")
async def _():
    async with tieline.listen(LOCAL, talk) as listener, tieline.dial(listener.address) as link:
        assert link.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) > 0


@row("`getpeername`")
async def _():
    async with tieline.listen(LOCAL, talk) as listener:
        async with tieline.dial(listener.address) as link:
            before = link.peer
        assert link.peer == before == listener.address.removeprefix("tcp://")


@row("`getsockname`")
async def _():
    async with tieline.listen(LOCAL, talk) as listener:
        assert await said(listener.address) == b"x"


@row("`SO_PEERCRED`")
async def _(tmp_path):
    async def talk(link):
        await link.send(str(link.info.uid))

    async with (
        tieline.listen(f"unix:{tmp_path}/s", talk, codec=tieline.Lines()) as listener,
        tieline.dial(listener.address, codec=tieline.Lines()) as link,
    ):
        assert await link.receive() == str(os.getuid())


@row("`gethostbyname` of the peer")
async def _():
    async def talk(link):
        await link.send(link.info.host)

    async with (
        tieline.listen("tcp://:0", talk, codec=tieline.Lines()) as listener,
        tieline.dial(f"tcp://127.0.0.1:{listener.port}", codec=tieline.Lines()) as link,
    ):
        assert (await link.receive()).removeprefix("::ffff:") == "127.0.0.1"


@row("`fileno`")
async def _():
    async with tieline.listen(LOCAL, talk) as listener, tieline.dial(listener.address) as link:
        assert os.fstat(link.socket.fileno())


@row("`select`, `poll`")
async def _():
    answers = []

    async def ask(address, message):
        answers.append(await said(address, message))

    async with tieline.listen(LOCAL, talk) as listener, asyncio.TaskGroup() as group:
        for n in range(10):
            group.create_task(ask(listener.address, b"%d" % n))
    assert sorted(answers) == [b"%d" % n for n in range(10)]


@row("`shutdown(SHUT_WR)`")
async def _():
    async with tieline.listen(LOCAL, talk) as listener, tieline.dial(listener.address) as link:
        await link.send(b"last")
        link.finish()
        assert [message async for message in link] == [b"last"]


@row("`shutdown(SHUT_RDWR)`")
async def _():
    async with tieline.listen(LOCAL, talk) as listener, tieline.dial(listener.address) as link:
        link.abort()
        assert await link.receive() is None


@row("`close`")
async def _():
    async with tieline.listen(LOCAL, talk) as listener:
        address = listener.address
        with pytest.raises(ZeroDivisionError):
            async with tieline.dial(address) as link:
                1 / 0  # noqa: B018
    assert not link.is_open


@row("`ConnectionResetError`")
async def _():
    ends = []

    async def talk(link):
        async for _ in link:
            pass
        ends.append(link.end)

    async with tieline.listen(LOCAL, talk) as listener:
        with Peer(listener) as peer:
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        while not ends:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    assert ends[0].startswith("the peer vanished")


@row("`hmac.compare_digest`")
async def _():
    async with tieline.listen(LOCAL, talk, challenge=tieline.Challenge(b"key")) as listener:
        assert await said(listener.address, challenge=tieline.Challenge(b"key")) == b"x"
        with Peer(listener) as peer:
            assert len(await peer.say()) == 32
            assert await peer.say(bytes(32)) == b""


@row("`socketserver`")
async def _():
    async with tieline.listen(LOCAL, talk, limits=tieline.Limits(links=100, links_per_address=5)) as listener:
        peers = [Peer(listener) for _ in range(5)]
        assert [await peer.say(b"x") for peer in peers] == [b"x"] * 5
        with Peer(listener) as sixth:
            assert await sixth.say() == b""
        for peer in peers:
            peer.sock.close()


# -- the page --------------------------------------------------------------------------------------------------------


def rows(root):
    text = (root / "docs" / "howto" / "from-sockets.md").read_text()
    found = [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in text.splitlines() if line[:3] == "| `"
    ]
    return {name: code for name, code, _ in found}


def test_every_row_has_a_test_and_every_test_a_row(root):
    assert list(rows(root)) == list(ROWS)


@pytest.mark.parametrize("name", ROWS)
async def test_row(name, root, tmp_path):
    test = ROWS[name]
    flat = re.sub(r"\s+", "", inspect.getsource(test))
    for code in re.findall("`([^`]+)`", rows(root)[name]):
        assert re.sub(r"\s+", "", code) in flat
    before = threading.active_count()
    async with asyncio.timeout(20):
        await (test(tmp_path) if inspect.signature(test).parameters else test())
    assert threading.active_count() <= before + 40
