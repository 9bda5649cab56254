"""Who is calling over HTTP: tokens, what they open, and what ends them."""

import asyncio

import pytest
from tests.doors.files_shop import close, send_for_ever

from tieline.doors import http_callers, http_sending
from tieline.link import listener
from tieline.login import penalties
from tieline.transports.certificate import make_certificate


async def test_without_a_token_nothing_is_done(shop):
    shop.file("/x", b"secret")
    sly = (
        f"Cookie: token={shop.token}",
        f"X-Token: {shop.token}",
        f"Authorization: Basic {shop.token}",
        "Authorization: Bearer",
    )
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        for headers in ((), *((header,) for header in sly)):
            answer = await shop.ask(
                f"/x?token={shop.token}&access_token={shop.token}", *headers, method=method, token=""
            )
            assert answer.status == 401
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert "set-cookie" not in answer.headers
            assert b"secret" not in answer.body
    assert (shop.root / "x").read_bytes() == b"secret"


async def test_wrong_tokens_cost_time(shop):
    answers = [await shop.ask("/", token=f"tieline-abcdefgh-{number}") for number in range(penalties.USER.free + 2)]
    assert {answer.status for answer in answers[:-1]} == {401}
    assert answers[-1].status == 429
    assert int(answers[-1].headers["retry-after"]) > 0
    assert (await shop.ask("/", token="x" * 5000)).status in (401, 429)


async def test_a_token_may_what_it_may(shop):
    shop.file("/x", b"hello")
    reader = await shop.token_of("ada", "files.read", name="reader")
    writer = await shop.token_of("ada", "files.write", name="writer")
    for token, method, status in (
        (reader, "GET", 200),
        (reader, "PUT", 403),
        (reader, "DELETE", 403),
        (writer, "GET", 403),
        (writer, "PUT", 204),
        (writer, "DELETE", 204),
    ):
        answer = await shop.ask("/x", method=method, token=token, body=b"hello" if method == "PUT" else b"")
        assert answer.status == status, (method, answer.body)


async def test_a_token_for_files_is_told_what_it_takes_to_reach_those_of_rooms(shop):
    plain = await shop.token_of("ada", "files.read", "files.write", name="plain")
    answer = await shop.ask("/rooms/lobby/", token=plain)
    assert (answer.status, b"needs the scope 'chat', which this token has not" in answer.body) == (403, True)
    assert b"`tieline token --can` makes one" in answer.body
    fuller = await shop.token_of("ada", "files", "chat", name="fuller")
    assert (await shop.ask("/rooms/lobby/", token=fuller)).status == 200


async def test_a_token_that_ended_is_good_for_nothing(shop):
    short = await shop.token_of("ada", name="short", lifetime=0.001)
    await asyncio.sleep(0.01)
    assert (await shop.ask("/", token=short)).status == 401
    await shop.server.tokens.revoke("ada", "test")
    assert (await shop.ask("/")).status == 401


@pytest.mark.parametrize("way", ["token", "device", "account", "scopes"])
async def test_what_is_going_on_stops_when_the_token_ends(shop, monkeypatch, way):
    monkeypatch.setattr(http_callers, "LOOK_AGAIN", 0.0)
    monkeypatch.setattr(http_sending, "PIECE", 64 << 10)
    shop.file("/x", bytes(64 << 20))
    down, down_writer = await shop.connect()
    _, up_writer = await shop.connect()
    down_writer.write(shop.request("/files/x"))
    up_writer.write(shop.request("/files/y", "Content-Length: 100000000", method="PUT") + bytes(1 << 20))
    await down.readuntil(b"\r\n\r\n")
    await shop.begun()
    accounts, store = shop.server.accounts, shop.server.accounts._store
    await {
        "token": lambda: shop.server.tokens.revoke("ada", "test"),
        "device": lambda: store.revoke_device("ada", "laptop"),
        "account": lambda: accounts.revoke("ada"),
        "scopes": lambda: accounts.allow("ada", ["chat"]),
    }[way]()
    received = 0
    try:
        while data := await down.read(1 << 20):
            received += len(data)
    except ConnectionError:
        pass
    assert received < 64 << 20
    with pytest.raises(ConnectionError):
        await send_for_ever(up_writer)
    await close(down_writer)
    await close(up_writer)
    await shop.settled()
    assert shop.names() == ["people", "rooms", "x"]


@pytest.mark.parametrize("way", ["token", "scopes"])
async def test_what_came_whole_is_not_stored_for_a_token_that_ended_meanwhile(shop, way):
    reader, writer = await shop.connect()
    writer.write(shop.request("/files/x", "Transfer-Encoding: chunked", method="PUT") + b"5\r\nhello\r\n")
    await shop.begun()
    if way == "token":
        await shop.server.tokens.revoke("ada", "test")
    else:
        await shop.server.accounts.allow("ada", ["chat", "files.read"])
    writer.write(b"0\r\n\r\n")
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 401 "), answer
    await close(writer)
    await shop.settled()
    assert shop.names() == ["people", "rooms"]


async def test_a_token_is_not_taken_in_plain_text_from_another_machine(shops, monkeypatch):
    async with shops(allow_plain=True) as shop:
        monkeypatch.setattr(listener, "is_loopback", lambda host: False)
        answer = await shop.ask("/")
        assert (answer.status, b"https://" in answer.body) == (403, True)
        assert (await shop.say(shop.request("/files/"), tls=True)).status == 200


async def test_another_host_than_ours_is_not_answered(shop):
    assert (await shop.ask("/", host="evil.example")).status == 421


async def test_the_names_in_the_certificate_are_ours(shops, tmp_path):
    certificate, key = make_certificate(["files.lab.example", "*.other.example"])
    (tmp_path / "cert.pem").write_bytes(certificate)
    (tmp_path / "key.pem").write_bytes(key)
    async with shops(cert=tmp_path / "cert.pem", key=tmp_path / "key.pem") as shop:
        assert (await shop.ask("/", host="Files.lab.example:7788")).status == 200
        assert (await shop.ask("/", host="any.other.example")).status == 200
        assert (await shop.ask("/", host="lab.example")).status == 421


async def test_one_account_has_only_so_much_going_on(hurried):
    shop = hurried
    reader, writer = await shop.connect()
    writer.write(shop.request("/files/x", "Content-Length: 10", method="PUT") + b"hello")
    await shop.begun()
    assert (await shop.ask("/")).status == 503
    assert (await shop.ask("/", token=await shop.token_of("bob"))).status == 200
    writer.write(b"world")
    assert b"201" in await reader.readuntil(b"\r\n")
    await close(writer)
    assert (await shop.ask("/")).status == 200
