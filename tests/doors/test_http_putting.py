"""Files put over HTTP, with real curl and with callers who stop in the middle."""

import asyncio
import gzip
import json
import os
import socket

import pytest
from blake3 import blake3
from tests.doors.files_shop import BIG, Shop, close, open_shop, send_for_ever, until

from tieline.server import Server


@pytest.mark.requires("curl")
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_curl_puts_a_file_and_puts_another_over_it(shop, tmp_path, scheme):
    (tmp_path / "up").write_bytes(BIG)
    new = await shop.curl(
        "/lab/deep/x.bin", "-T", tmp_path / "up", "-w", "%{http_code}", "-D", "/dev/stderr", scheme=scheme
    )
    assert new.out == b"201", new.err
    assert f'ETag: "{blake3(BIG).hexdigest()}"' in new.err
    assert (shop.root / "lab/deep/x.bin").read_bytes() == BIG
    (entry,) = json.loads((await shop.ask("/lab/deep/")).body)["entries"]
    assert (entry["by"], entry["digest"], entry["mode"]) == ("ada", blake3(BIG).hexdigest(), 0o644)
    (tmp_path / "up").write_bytes(b"short")
    over = await shop.curl("/lab/deep/x.bin", "-T", tmp_path / "up", "-w", "%{http_code}", scheme=scheme)
    assert over.out == b"204", over.err
    assert (shop.root / "lab/deep/x.bin").read_bytes() == b"short"
    await shop.settled()


@pytest.mark.requires("curl")
async def test_curl_puts_what_comes_through_a_pipe_and_nothing_at_all(shop):
    assert (await shop.curl("/piped", "-T", "-", stdin=BIG)).code == 0
    assert (shop.root / "piped").read_bytes() == BIG
    assert (await shop.curl("/empty", "-T", "/dev/null")).code == 0
    assert (shop.root / "empty").read_bytes() == b""
    await shop.settled()


async def test_put_only_where_nothing_is(shop):
    assert (await shop.ask("/x", "If-None-Match: *", method="PUT", body=b"first")).status == 201
    assert (await shop.ask("/x", "If-None-Match: *", method="PUT", body=b"second")).status == 412
    assert (shop.root / "x").read_bytes() == b"first"


async def test_put_only_over_what_was_seen(shop):
    tag = (await shop.ask("/x", method="PUT", body=b"one")).headers["etag"]
    assert (await shop.ask("/x", f"If-Match: {tag}", method="PUT", body=b"two")).status == 204
    assert (await shop.ask("/x", f"If-Match: {tag}", method="PUT", body=b"three")).status == 412
    assert (shop.root / "x").read_bytes() == b"two"


async def test_of_two_who_change_what_both_have_seen_one_is_told(shop):
    tag = (await shop.ask("/x", method="PUT", body=b"0")).headers["etag"]
    for turn in range(10):
        bodies = [f"{turn} {who}".encode() for who in range(3)]
        answers = await asyncio.gather(*(shop.ask("/x", f"If-Match: {tag}", method="PUT", body=b) for b in bodies))
        assert sorted(answer.status // 100 for answer in answers) == [2, 4, 4]
        (won,) = [answer for answer in answers if answer.status < 300]
        tag = won.headers["etag"]
        assert (await shop.ask("/x")).headers["etag"] == tag
    answers = await asyncio.gather(
        *(shop.ask("/x", f"If-Match: {tag}", method=method, body=b"new") for method in ("PUT", "DELETE"))
    )
    assert sorted(answer.status // 100 for answer in answers) == [2, 4], [answer.status for answer in answers]


async def test_a_condition_on_what_is_not_there_fails(shop):
    for method in ("PUT", "DELETE"):
        for tag in ("*", '"x"'):
            assert (await shop.ask("/nothing", f"If-Match: {tag}", method=method)).status == 412
    assert shop.names() == ["people", "rooms"]


async def test_a_file_where_a_folder_would_have_to_be_is_named_before_anything_is_sent(shop):
    assert (await shop.ask("/plain", method="PUT", body=b"hi")).status == 201
    for path in ("/plain/below", "/plain/far/below"):
        answer = await shop.ask(path, "Expect: 100-continue", method="PUT", body=b"hi")
        assert (answer.status, answer.body) == (409, b"/plain is a file, not a folder\n")


async def test_into_somebodys_letter_box_and_not_out_of_it(shop):
    await shop.token_of("bob")
    note = "/people/bob/inbox/ada/note"
    assert (await shop.ask(note, method="PUT", body=b"hi")).status == 201
    assert (await shop.ask(note, method="PUT", body=b"changed")).status == 409
    for method in ("GET", "HEAD", "DELETE"):
        assert (await shop.ask(note, method=method)).status == 403
    assert (await shop.ask("/people/bob/")).status == 403
    elsewhere = await shop.ask("/people/bob/note", method="PUT", body=b"hi")
    assert (elsewhere.status, b"into /people/bob/inbox/ada/" in elsewhere.body) == (403, True)
    assert (await shop.ask("/people/nobody/inbox/ada/note", method="PUT", body=b"hi")).status == 404
    bob = await shop.token_of("bob", name="second")
    assert (await shop.ask(note, token=bob)).body == b"hi"


@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("chunked", [False, True])
async def test_of_an_upload_that_is_cut_nothing_is_seen(shop, tls, chunked, caplog):
    shop.file("/x", b"old")
    _, writer = await shop.connect(tls)
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 10000000"
    writer.write(shop.request("/files/x", length, method="PUT"))
    writer.write(b"200000\r\n" + bytes(1 << 21) + b"\r\n" if chunked else bytes(1 << 21))
    await writer.drain()
    await shop.begun()
    assert (shop.root / "x").read_bytes() == b"old"
    assert shop.names() == ["people", "rooms", "x"]
    writer.transport.abort()
    await (shop.settled() if chunked else until(shop.kept))  # of unknown size: nobody could go on with it
    assert (shop.root / "x").read_bytes() == b"old"
    assert shop.names() == ["people", "rooms", "x"]
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


async def test_chunks_that_are_none_are_refused_and_leave_nothing(shop, caplog):
    answer = await shop.say(
        shop.request("/files/x", "Transfer-Encoding: chunked", method="PUT") + b"5\r\nhello\r\nnonsense\r\n"
    )
    assert answer.status in (0, 400)
    await shop.settled()
    assert shop.names() == ["people", "rooms"]
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


async def test_an_upload_that_drips_is_cut(hurried):
    shop = hurried
    reader, writer = await shop.connect()
    writer.write(shop.request("/files/x", "Content-Length: 100000", method="PUT"))
    try:
        async with asyncio.timeout(10):
            while not writer.is_closing() and not reader.at_eof():
                writer.write(b".")
                await asyncio.sleep(0.02)
                if reader.exception() is not None:
                    break
    except ConnectionError:
        pass
    await close(writer)
    await shop.settled()
    assert shop.names() == ["people", "rooms"]


async def test_a_download_that_is_not_read_is_cut(hurried):
    shop = hurried
    shop.file("/x", bytes(64 << 20))
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", shop.port))
    await loop.sock_sendall(sock, shop.request("/files/x"))
    await loop.sock_recv(sock, 100)
    await until(lambda: not shop.server._ports.listeners[0].links)
    sock.close()


async def test_a_quota_is_said_before_the_first_byte_is_sent(shops):
    async with shops(files_quota=1000) as shop:
        assert (await shop.ask("/a", method="PUT", body=bytes(900))).status == 201
        reader, writer = await shop.connect()
        writer.write(shop.request("/files/b", "Content-Length: 101", "Expect: 100-continue", method="PUT"))
        answer = await reader.readuntil(b"\n")
        assert answer.startswith(b"HTTP/1.1 507"), "and not 100 Continue"
        await close(writer)
        whole = await shop.ask("/b", method="PUT", body=bytes(101))
        assert (whole.status, b"take 900 of 1,000" in whole.body) == (507, True)
        chunks = b"".join(b"64\r\n" + bytes(100) + b"\r\n" for _ in range(2)) + b"0\r\n\r\n"
        unknown = await shop.say(shop.request("/files/b", "Transfer-Encoding: chunked", method="PUT") + chunks)
        assert unknown.status == 507
        await shop.settled()
        assert shop.names() == ["a", "people", "rooms"]
        assert (await shop.ask("/a", method="DELETE")).status == 204
        assert (await shop.ask("/b", method="PUT", body=bytes(101))).status == 201, "there is room again"


@pytest.mark.requires("curl")
async def test_curl_is_told_to_go_on_only_when_its_file_is_wanted(shop, tmp_path):
    (tmp_path / "up").write_bytes(BIG)
    good = await shop.curl("/x", "-T", tmp_path / "up", "-v", "-H", "Expect: 100-continue")
    assert "HTTP/1.1 100 Continue" in good.err
    bad = await shop.curl("/people/ada", "-T", tmp_path / "up", "-v", "-H", "Expect: 100-continue")
    assert "HTTP/1.1 100" not in bad.err
    assert "HTTP/1.1 403" in bad.err
    assert (await shop.ask("/x", "Expect: a miracle", method="PUT", body=b"x")).status == 417


async def test_a_file_is_put_as_it_is_and_not_unpacked(shop):
    packed = gzip.compress(bytes(1 << 20))
    assert (await shop.ask("/x.gz", "Content-Encoding: gzip", method="PUT", body=packed)).status == 415
    assert (await shop.ask("/x.gz", "Content-Type: application/gzip", method="PUT", body=packed)).status == 201
    assert (shop.root / "x.gz").read_bytes() == packed
    assert (await shop.ask("/x.gz", "Accept-Encoding: gzip")).body == packed


@pytest.mark.parametrize("headers", [(), ("Content-Length: 5", "Expect: 100-continue")])
async def test_a_part_of_a_file_is_no_file(shop, headers):
    """RFC 9110, 14.5: kept as a whole it would be a broken one."""
    wrong = (
        "bytes 5-9/*", "bytes 5-8/10", "bytes 5-9/11", "bytes 9-5/10", "bytes 4-9/10", "bytes 6-9/10", "bytes */10",
        "bytes -5/10", "bytes 5-/10", "bytes 5-9", "items 5-9/10", "5-9/10", "bytes=5-9/10", "bytes 5-9/10, 1-2/10",
        "bytes 0-4/4", "bytes 5-10/10", "bytes ٥-٩/10", "", "bytes 5-9999999999999999999999/10",
    )  # fmt: skip
    body = b"" if headers else b"world"

    async def refused(text):
        answer = await shop.ask("/x", f"Content-Range: {text}", *headers, method="PUT", body=body)
        assert answer.status == 400, text

    # All at once: after each the server goes on listening for the body that was announced, and gives up after a while.
    await asyncio.gather(*map(refused, wrong))
    twice = ("Content-Range: bytes 0-4/5", "Content-Range: bytes 0-4/5")
    assert (await shop.ask("/x", *twice, *headers, method="PUT", body=body)).status == 400
    chunked = shop.request("/files/x", "Content-Range: bytes 5-9/10", "Transfer-Encoding: chunked", method="PUT")
    assert (await shop.say(chunked + b"5\r\nworld\r\n0\r\n\r\n")).status == 400
    await shop.settled()
    assert shop.names() == ["people", "rooms"]


async def test_a_part_that_is_the_whole_is_a_file(shop):
    answer = await shop.ask("/x", "Content-Range: bytes 0-4/5", method="PUT", body=b"world")
    assert (answer.status, (shop.root / "x").read_bytes()) == (201, b"world")


async def test_the_rest_of_what_nobody_began_is_refused_with_where_to_begin(shop):
    answer = await shop.ask("/x", "Content-Range: bytes 5-9/10", method="PUT", body=b"world")
    assert (answer.status, answer.headers["upload-offset"], b"send it whole" in answer.body) == (409, "0", True)
    assert shop.names() == ["people", "rooms"]
    await shop.settled()


@pytest.mark.parametrize("tls", [False, True])
async def test_an_upload_that_was_cut_goes_on_where_it_was(shop, tls):
    body = os.urandom(10 << 20)
    await shop.cut("/lab/x", body[: 5 << 20], size=len(body), tls=tls)
    assert not (shop.root / "lab").exists()
    first = await shop.offset("/lab/x")
    assert (2 << 20) < first <= 5 << 20
    await shop.cut("/lab/x", body[first : first + (4 << 20)], size=len(body), start=first, tls=tls)
    second = await shop.offset("/lab/x")
    assert first < second
    rest = f"Content-Range: bytes {second}-{len(body) - 1}/{len(body)}"
    answer = await shop.say(shop.request("/files/lab/x", rest, method="PUT", body=body[second:]), tls)
    assert (answer.status, answer.headers["etag"]) == (201, f'"{blake3(body).hexdigest()}"'), answer.body
    assert (shop.root / "lab/x").read_bytes() == body
    assert await shop.offset("/lab/x") == 0
    await shop.settled()


async def test_what_came_behind_the_place_where_one_goes_on_comes_again(shop):
    body = os.urandom(6 << 20)
    await shop.cut("/x", b"x" * (5 << 20), size=len(body))  # all of it wrong, but nobody can know
    kept = await shop.offset("/x")
    beyond = await shop.ask("/x", f"Content-Range: bytes {kept + 1}-{len(body) - 1}/{len(body)}", method="PUT",
                            body=body[kept + 1 :])  # fmt: skip
    assert (beyond.status, beyond.headers["upload-offset"]) == (409, str(kept))
    assert f"go on at {kept}".encode() in beyond.body
    answer = await shop.ask("/x", f"Content-Range: bytes 1-{len(body) - 1}/{len(body)}", method="PUT", body=body[1:])
    assert answer.status == 201
    assert (shop.root / "x").read_bytes() == b"x" + body[1:], "what was gone on with is what was kept"
    await shop.settled()


async def test_nobody_goes_on_with_what_another_began_or_with_another_file(shop):
    body = os.urandom(4 << 20)
    await shop.cut("/x", body[: 3 << 20], size=len(body))
    kept = await shop.offset("/x")
    bob = await shop.token_of("bob")
    assert await shop.offset("/x", token=bob) == 0
    for path, size, token in (("/x", len(body), bob), ("/y", len(body), None), ("/x", len(body) + 1, None)):
        rest = f"Content-Range: bytes {kept}-{size - 1}/{size}"
        answer = await shop.ask(path, rest, method="PUT", body=bytes(size - kept), token=token)
        assert (answer.status, answer.headers["upload-offset"]) == (409, "0"), answer.body
    assert await shop.offset("/x") == kept, "and what was kept is kept"
    whole = await shop.ask("/x", method="PUT", body=b"short")
    assert (whole.status, await shop.offset("/x")) == (201, 0)
    assert (shop.root / "x").read_bytes() == b"short"
    await shop.settled()


async def test_an_upload_whose_connection_is_lost_but_not_yet_missed_gives_way(shop):
    body = os.urandom(4 << 20)
    _, lost = await shop.connect()
    lost.write(shop.request("/files/x", f"Content-Length: {len(body)}", method="PUT") + body[: 3 << 20])
    await lost.drain()
    async with asyncio.timeout(30):
        while not (here := await shop.offset("/x")):
            pass
    answer = await shop.ask("/x", f"Content-Range: bytes {here}-{len(body) - 1}/{len(body)}", method="PUT",
                            body=body[here:])  # fmt: skip
    assert (answer.status, (shop.root / "x").read_bytes() == body) == (201, True), answer.body
    await close(lost)
    await shop.settled()


async def test_of_several_who_go_on_at_once_the_file_comes_out_whole(shop):
    body = os.urandom(5 << 20)
    await shop.cut("/x", body[: 3 << 20], size=len(body))

    async def go_on(start):
        rest = f"Content-Range: bytes {start}-{len(body) - 1}/{len(body)}"
        try:
            return (await shop.ask("/x", rest, method="PUT", body=body[start:])).status
        except ConnectionError:
            return 0  # it gave way

    statuses = await asyncio.gather(*(go_on(1 + 1000 * number) for number in range(8)))
    assert set(statuses) <= {0, 201, 409}, statuses
    if 201 not in statuses:
        here = await shop.offset("/x")
        assert await go_on(here) == 201
    assert (shop.root / "x").read_bytes() == body
    await shop.settled()
    assert not shop.server.uploads._going_on


async def test_a_restart_of_the_server_in_order_loses_nothing_of_an_upload(tmp_path):
    body = os.urandom(4 << 20)
    async with open_shop(tmp_path / "data") as shop:
        token = shop.token
        _, writer = await shop.connect()
        writer.write(shop.request("/files/x", f"Content-Length: {len(body)}", method="PUT") + body[: 3 << 20])
        await writer.drain()
        async with asyncio.timeout(30):
            while not await shop.offset("/x"):
                pass
    await close(writer)
    server = Server(data=tmp_path / "data")
    async with server.serving("tcp://127.0.0.1:0"):
        shop = Shop(server, tmp_path / "data/files")
        shop.port, shop.token = int(server.addresses[0].rpartition(":")[2]), token
        here = await shop.offset("/x")
        assert here > 1 << 20
        rest = f"Content-Range: bytes {here}-{len(body) - 1}/{len(body)}"
        assert (await shop.ask("/x", rest, method="PUT", body=body[here:])).status == 201
        assert (shop.root / "x").read_bytes() == body


async def test_into_a_letter_box_one_goes_on_too(shop):
    await shop.token_of("bob")
    body, note = os.urandom(3 << 20), "/people/bob/inbox/ada/note"
    await shop.cut(note, body[: 2 << 20] + bytes(1), size=len(body))
    head = await shop.ask(note, method="HEAD")
    here = int(head.headers["upload-offset"])
    assert head.status == 403, "it is still nobody's to read"
    answer = await shop.ask(note, f"Content-Range: bytes {here}-{len(body) - 1}/{len(body)}", method="PUT",
                            body=body[here:])  # fmt: skip
    assert answer.status == 201


async def test_who_is_cast_out_leaves_nothing(shop):
    _, writer = await shop.connect()
    writer.write(shop.request("/files/x", f"Content-Length: {1 << 30}", method="PUT"))
    sending = asyncio.create_task(send_for_ever(writer))
    async with asyncio.timeout(30):
        while not await shop.offset("/x"):
            pass
    await shop.server.accounts.revoke("ada")
    with pytest.raises(ConnectionError):
        await sending
    await shop.settled()


@pytest.mark.requires("curl")
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_curl_killed_in_the_middle_goes_on_where_the_server_says(shop, tmp_path, scheme):
    body = os.urandom(16 << 20)
    (tmp_path / "up").write_bytes(body)
    header = ("-H", f"Authorization: Bearer {shop.token}")
    url = shop.url("/lab/up", scheme)
    for _ in range(2):
        at = str(await shop.offset("/lab/up"))
        curl = await asyncio.create_subprocess_exec(
            "curl", "-sSk", *header, "--limit-rate", "30M", "-C", at, "-T", tmp_path / "up", url
        )
        async with asyncio.timeout(30):
            while await shop.offset("/lab/up") <= int(at) + (2 << 20):
                pass
        curl.kill()
        await curl.wait()
        await until(lambda: shop.kept() and not shop.server.files.quota._reserved)
    told = await shop.run("curl", "-sSkI", *header, "-o", "/dev/null", "-w", "%header{upload-offset}", url)
    at = int(told.out)
    assert 4 << 20 < at < len(body)
    went_on = await shop.curl("/lab/up", "-C", at, "-T", tmp_path / "up", "-w", "%{http_code} %{size_upload}",
                              scheme=scheme)  # fmt: skip
    assert went_on.out == f"201 {len(body) - at}".encode(), went_on.err
    assert (shop.root / "lab/up").read_bytes() == body
    begun_anew = await shop.curl("/lab/up", "-C", "-", "-T", tmp_path / "up", "-w", "%{http_code}", scheme=scheme)
    assert begun_anew.out == b"204", "curl does not ask how much is there, and sends the whole as a part"
    await shop.settled()


async def test_two_who_put_the_same_file_are_both_whole_and_one_is_there(shop):
    bodies = [bytes([65 + number]) * (2 << 20) for number in range(4)]
    answers = await asyncio.gather(*(shop.ask("/x", method="PUT", body=body) for body in bodies))
    assert {answer.status for answer in answers} <= {200, 201, 204}
    assert (shop.root / "x").read_bytes() in bodies
    tag = (await shop.ask("/x")).headers["etag"].strip('"')
    assert tag == blake3((shop.root / "x").read_bytes()).hexdigest()
    await shop.settled()


async def test_a_folder_that_is_removed_meanwhile_comes_again_with_the_file(shop):
    shop.file("/lab/keep")
    reader, writer = await shop.connect()
    writer.write(shop.request("/files/lab/new", "Content-Length: 10", method="PUT") + b"hello")
    await shop.begun()
    assert (await shop.ask("/lab?recursive=1", method="DELETE")).status == 204
    writer.write(b"world")
    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 201")
    assert shop.names("/lab") == ["new"]
    await close(writer)
