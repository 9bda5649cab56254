import asyncio
import socket
import ssl

import pytest
from aiohttp import web

from tieline.doors import http
from tieline.doors.http import HttpDoor, own_hosts
from tieline.limits import Limits
from tieline.link.listener import Listener
from tieline.link.opening import Routes
from tieline.transports.certificate import ServerCertificate, make_certificate
from tieline.transports.sockets import listen_tcp
from tieline.transports.tls import client_context


@pytest.fixture(scope="session")
def certificate():
    return ServerCertificate(*make_certificate([]))


@pytest.fixture
async def serve(certificate):
    """`await serve()` gives a listener whose HTTP callers reach a door: `.door`, `.port`."""
    complaints, started = [], []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))

    async def start(name="lab", prepare=None, hosts=None, guests=False, allow_plain=False, **limits):
        door = HttpDoor(name, hosts=hosts, guests=guests)
        if prepare is not None:
            prepare(door.app)
        await door.start()
        nobody = [lambda opening: asyncio.Protocol()] * 2
        listener = Listener(
            listen_tcp("127.0.0.1", 0),
            Routes(native=nobody[0], http=door.protocol, lines=nobody[1]),
            tls=certificate.context(),
            allow_plain=allow_plain,
            limits=Limits(**limits),
        )
        listener.port, listener.door = listener.addresses[0].port, door
        listener.start()
        started.append((listener, door))
        return listener

    yield start
    for listener, door in started:
        await listener.close()
        await door.close()
        async with asyncio.timeout(5):
            while listener.links:  # noqa: ASYNC110
                await asyncio.sleep(0.005)
    assert complaints == []


class Answer:
    def __init__(self, raw):
        head, _, self.body = raw.partition(b"\r\n\r\n")
        status, *lines = head.decode().split("\r\n")
        self.status = int(status.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}


async def ask(listener, request, tls=False):
    """Send bytes, and read until the server closes."""
    options = {"ssl": client_context("any", ["http/1.1"]), "server_hostname": "localhost"} if tls else {}
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, **options)
    try:
        writer.write(request)
        return Answer(await asyncio.wait_for(reader.read(), 5))
    finally:
        writer.close()
        try:
            await writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            pass


def get(path="/", *headers, method="GET", host="127.0.0.1"):
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("tls", [False, True])
async def test_health_is_one_word_of_json(serve, tls):
    answer = await ask(await serve(), get("/healthz"), tls)
    assert (answer.status, answer.body) == (200, b'{"status": "ok"}')
    assert answer.headers["content-type"].startswith("application/json")


async def test_the_page_says_what_this_is_and_how_to_join(serve):
    listener = await serve("Lab 7 <&>")
    answer = await ask(listener, get(host=f"localhost:{listener.port}"))
    assert answer.status == 200
    assert b"Lab 7 &lt;&amp;&gt;" in answer.body
    assert b"tieline join TICKET" in answer.body
    assert f"nc localhost {listener.port}".encode() in answer.body


@pytest.mark.parametrize("guests", [False, True])
async def test_the_page_says_whether_guests_may_come(serve, guests):
    answer = await ask(await serve(guests=guests), get())
    assert b"name and password" in answer.body
    assert (b"Guests" in answer.body) == guests


async def test_over_tls_the_page_names_a_way_in_that_is_tls_too(serve):
    listener = await serve()
    answer = await ask(listener, get(), tls=True)
    assert f"openssl s_client -quiet -connect 127.0.0.1:{listener.port}".encode() in answer.body


async def test_who_comes_in_plain_text_from_elsewhere_is_sent_to_tls(serve, monkeypatch):
    monkeypatch.setattr("tieline.link.listener.is_loopback", lambda host: False)
    answer = await ask(await serve(allow_plain=True), get())
    assert b"openssl s_client" in answer.body
    assert b"<pre>nc " not in answer.body


async def test_the_page_may_load_nothing_and_run_nothing(serve):
    answer = await ask(await serve(), get())
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    for outside in (b"http:", b"https:", b"src=", b"url(", b"<script"):
        assert outside not in answer.body
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_head_is_the_same_without_its_body(serve):
    listener = await serve()
    whole, head = await ask(listener, get()), await ask(listener, get(method="HEAD"))
    assert (head.status, head.body) == (200, b"")
    assert head.headers["content-length"] == whole.headers["content-length"]


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (get("/nowhere"), 404),
        (get("/../../etc/passwd"), 404),
        (get(method="POST"), 405),
        (get(method="OPTIONS"), 405),
        (get(method="XYZZY"), 400),
        (get(host="evil.example"), 421),
        (b"GET / HTTP/1.0\r\n\r\n", 200),
        (b"GET\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nno colon\r\n\r\n", 400),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n\r\n", 400),
        (get("/", "X: " + "a" * 9000), 400),
        (get("/", *["X: a"] * 10_000), 400),
        (b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n", 400),
    ],
)
async def test_every_answer_is_sane_and_tells_no_version(serve, request_bytes, status, caplog):
    answer = await ask(await serve(), request_bytes)
    assert answer.status == status
    assert answer.headers["server"] == "tieline"
    assert b"python" not in answer.body.lower()
    assert answer.body.endswith(b"\n")
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


async def test_a_handler_that_fails_tells_its_log_and_not_its_caller(serve, caplog):
    async def fail(request):
        raise RuntimeError("the inner works")

    answer = await ask(await serve(prepare=lambda app: app.router.add_get("/fail", fail)), get("/fail"))
    assert (answer.status, answer.headers["server"]) == (500, "tieline")
    assert b"inner works" not in answer.body
    assert "the inner works" in caplog.text


@pytest.mark.parametrize("tls", [False, True])
async def test_slow_headers_are_cut_by_the_openings_deadline(serve, tls):
    listener = await serve(opening=0.5 if tls else 0.1)
    options = {"ssl": client_context("any", ["http/1.1"]), "server_hostname": "localhost"} if tls else {}
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port, **options)
    writer.write(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n")
    try:
        assert await asyncio.wait_for(reader.read(), 5) == b""
    except ConnectionError:
        pass
    writer.close()


async def test_the_first_request_ends_the_opening_and_the_connection_is_kept(serve):
    listener = await serve(opening=0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    for pause in (0, 0.2):
        await asyncio.sleep(pause)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert b'{"status": "ok"}' in await asyncio.wait_for(reader.readuntil(b"}"), 5)
        assert (listener.links, listener.openings) == (1, 0)
    writer.close()
    await writer.wait_closed()


async def test_slow_headers_of_a_later_request_are_cut_too(serve, monkeypatch):
    monkeypatch.setattr(http, "KEEP_ALIVE", 0.1)
    listener = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET / HTT")
    assert (await asyncio.wait_for(reader.read(), 5)).endswith(b'{"status": "ok"}')
    writer.close()
    await writer.wait_closed()


async def test_closing_the_door_ends_kept_connections(serve):
    listener = await serve()
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    await reader.readuntil(b"}")
    await listener.close()
    await listener.door.close()
    assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    await writer.wait_closed()


async def test_the_owner_can_say_which_names_are_ours(serve):
    listener = await serve(hosts=own_hosts(["tie.lab.example"]))
    assert (await ask(listener, get(host="Tie.Lab.Example:443"))).status == 200
    assert (await ask(listener, get(host="other.lab.example"))).status == 421


def test_own_hosts_are_addresses_this_machine_and_the_names_given(monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "Box.lan")
    ours = own_hosts(["tie.example", "*.lab.example"])
    for host in (
        "127.0.0.1",
        "10.1.2.3",
        "::1",
        "localhost",
        "x.localhost",
        "box.lan",
        "BOX",
        "box.local",
        "tie.example.",
        "any.lab.example",
    ):
        assert ours(host), host
    for host in (
        "evil.example",
        "lab.example",
        "a.b.lab.example",
        "x.evil.lab.example.evil",
        "box.lan.evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "fe80::1%x",
    ):
        assert not ours(host), host


async def test_other_doors_may_add_their_routes_and_find_the_opening(serve):
    async def hello(request):
        return web.Response(text="hello")

    listener = await serve(prepare=lambda app: app.router.add_get("/hello", hello))
    assert (await ask(listener, get("/hello"))).body == b"hello"
