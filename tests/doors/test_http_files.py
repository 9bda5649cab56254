"""Files over HTTP, with real curl and wget, and with callers who want something else than a file."""

import asyncio
import gzip
import json
import os
import socket

import pytest
from blake3 import blake3
from tests.doors.files_shop import Shop, close, open_shop, until

from tieline.doors import http_answers, http_callers, http_files, http_sending
from tieline.limits import Limits
from tieline.link import listener
from tieline.login import penalties
from tieline.server import Server
from tieline.transports.certificate import make_certificate

BIG = os.urandom(3 << 20)


async def send_for_ever(writer):
    while True:
        writer.write(bytes(1 << 20))
        await writer.drain()


@pytest.fixture
async def shop(tmp_path):
    async with open_shop(tmp_path / "data") as shop:
        yield shop


@pytest.fixture
async def hurried(tmp_path):
    """One that waits for nobody, and does one thing at a time for each account."""
    async with open_shop(tmp_path / "data", limits=Limits(http_stall=0.5, http_requests=1)) as shop:
        yield shop


@pytest.fixture
def shops(tmp_path):
    """`async with shops(files_quota=…) as shop`."""
    return lambda **settings: open_shop(tmp_path / "data", **settings)


# -- getting -----------------------------------------------------------------------------------------------------------


@pytest.mark.requires("curl")
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_curl_gets_a_file_and_its_digest_as_its_tag(shop, scheme):
    shop.file("/lab/data 1/x.bin", BIG)
    got = await shop.curl("/lab/data%201/x.bin", "-D", "/dev/stderr", scheme=scheme)
    assert (got.code, got.out) == (0, BIG), got.err
    assert f'ETag: "{blake3(BIG).hexdigest()}"' in got.err
    assert "Content-Type: application/octet-stream" in got.err
    assert "Set-Cookie" not in got.err


@pytest.mark.requires("curl")
async def test_curl_gets_parts(shop):
    shop.file("/x", b"0123456789")
    for part, expected in (("2-4", b"234"), ("7-", b"789"), ("-3", b"789"), ("0-99", b"0123456789")):
        assert (await shop.curl("/x", "-r", part)).out == expected
    beyond = await shop.ask("/x", "Range: bytes=10-")
    assert (beyond.status, beyond.headers["content-range"]) == (416, "bytes */10")


@pytest.mark.requires("curl")
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_curl_goes_on_where_it_stopped(shop, tmp_path, scheme):
    shop.file("/x", BIG)
    part = tmp_path / "part"
    part.write_bytes(BIG[:1_234_567])
    got = await shop.curl("/x", "-C", "-", "-o", part, "-w", "%{http_code} %{size_download}", scheme=scheme)
    assert got.out == f"206 {len(BIG) - 1_234_567}".encode(), got.err
    assert part.read_bytes() == BIG


@pytest.mark.requires("wget")
async def test_wget_goes_on_where_it_stopped_and_knows_when_it_has_all(shop, tmp_path):
    shop.file("/x.bin", BIG)
    (tmp_path / "x.bin").write_bytes(BIG[:100_001])
    got = await shop.wget("/x.bin", "-c", cwd=tmp_path)
    assert got.code == 0, got.err
    assert "206 Partial Content" in got.err
    assert (tmp_path / "x.bin").read_bytes() == BIG
    again = await shop.wget("/x.bin", "-c", cwd=tmp_path)
    assert (again.code, "nothing to do" in again.err) == (0, True), again.err
    assert (tmp_path / "x.bin").read_bytes() == BIG


@pytest.mark.requires("wget")
async def test_wget_takes_the_name_and_the_time_and_asks_only_for_what_is_newer(shop, tmp_path):
    place = shop.file("/日本.txt", b"hello")
    os.utime(place, (1_600_000_000, 1_600_000_000))
    got = await shop.wget(
        "/%E6%97%A5%E6%9C%AC.txt", "--content-disposition", "--restrict-file-names=nocontrol", cwd=tmp_path
    )
    assert got.code == 0, got.err
    assert (tmp_path / "日本.txt").stat().st_mtime == 1_600_000_000
    again = await shop.wget("/%E6%97%A5%E6%9C%AC.txt", "-N", "--restrict-file-names=nocontrol", cwd=tmp_path)
    assert "304 Not Modified" in again.err, again.err


async def test_a_name_travels_as_rfc_6266_and_8187_say(shop):
    for name, shown in {
        "plain.txt": 'attachment; filename="plain.txt"',
        "it's (1);x.txt": 'attachment; filename="it\'s (1);x.txt"',
        "100%.txt": "attachment; filename=\"100_.txt\"; filename*=UTF-8''100%25.txt",
        "naïve.txt": "attachment; filename=\"na_ve.txt\"; filename*=UTF-8''na%C3%AFve.txt",
        "日本": "attachment; filename=\"__\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC",
    }.items():
        assert http_answers.disposition(name) == shown
    shop.file("/naïve.txt")
    answer = await shop.ask("/na%C3%AFve.txt")
    assert answer.headers["content-disposition"] == http_answers.disposition("naïve.txt")


async def test_head_is_get_without_the_body(shop):
    shop.file("/x", BIG)
    whole, head = await shop.ask("/x"), await shop.ask("/x", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert {**whole.headers, "date": ""} == {**head.headers, "date": ""}


async def test_who_has_it_already_is_told_so(shop):
    shop.file("/x", b"hello")
    tag = (await shop.ask("/x")).headers["etag"]
    same = await shop.ask("/x", f"If-None-Match: {tag}")
    assert (same.status, same.body, same.headers["etag"]) == (304, b"", tag)
    part = await shop.ask("/x", "Range: bytes=1-2", f"If-Range: {tag}")
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"el", "bytes 1-2/5")
    shop.file("/x", b"other").touch()
    changed = await shop.ask("/x", "Range: bytes=1-2", f"If-Range: {tag}")
    assert (changed.status, changed.body) == (200, b"other"), "another file is never mixed with the rest of the old one"


async def test_a_file_dropped_in_by_hand_is_read_once_and_remembered(shop):
    place = shop.file("/x", BIG)
    os.utime(place, (1_600_000_000, 1_600_000_000))
    tag = (await shop.ask("/x")).headers["etag"]
    assert tag == f'"{blake3(BIG).hexdigest()}"'
    (listed,) = [entry for entry in json.loads((await shop.ask("/")).body)["entries"] if entry["name"] == "x"]
    assert listed["digest"] == tag.strip('"')
    os.utime(place, (1_600_000_001, 1_600_000_001))
    (listed,) = [entry for entry in json.loads((await shop.ask("/")).body)["entries"] if entry["name"] == "x"]
    assert "digest" not in listed, "it may be another file now"


async def test_a_large_file_nobody_knows_is_sent_at_once_and_has_its_tag_next_time(shop, monkeypatch):
    monkeypatch.setattr(http_files, "READ_FIRST", 1000)
    os.utime(shop.file("/x", BIG), (1_600_000_000, 1_600_000_000))
    first = await shop.ask("/x")
    assert (first.status, first.body) == (200, BIG)
    assert "etag" not in first.headers
    async with asyncio.timeout(30):
        while "etag" not in (await shop.ask("/x", method="HEAD")).headers:
            pass
    os.utime(shop.file("/y", BIG), (1_600_000_000, 1_600_000_000))
    asked = await shop.ask("/y", f'If-None-Match: "{blake3(BIG).hexdigest()}"')
    assert asked.status == 304, "who asks by tag gets an answer by tag"


async def test_a_file_of_any_date_can_be_had(shop):
    for seconds in (10_413_792_000, -2_000_000_000, 0):
        os.utime(shop.file("/x", b"hello"), (seconds, seconds))
        answer = await shop.ask("/x")
        assert (answer.status, answer.body) == (200, b"hello"), seconds
        assert answer.headers["last-modified"].endswith("GMT")


async def test_an_empty_file_is_a_file(shop):
    shop.file("/empty")
    answer = await shop.ask("/empty")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")


async def test_what_is_sent_is_one_file_though_its_name_gets_another(shop, monkeypatch):
    monkeypatch.setattr(http_sending, "PIECE", 64 << 10)
    shop.file("/x", b"a" * (8 << 20))
    reader, writer = await shop.connect()
    writer.write(shop.request("/files/x"))
    head = await reader.readuntil(b"\r\n\r\n")
    os.replace(shop.file("/new", b"b" * (8 << 20)), shop.root / "x")
    assert await reader.read() == b"a" * (8 << 20)
    assert b"200 OK" in head
    await close(writer)


async def test_a_file_cut_short_while_it_is_sent_ends_the_connection(shop, monkeypatch):
    monkeypatch.setattr(http_sending, "PIECE", 64 << 10)
    place = shop.file("/x", bytes(32 << 20))
    reader, writer = await shop.connect()
    writer.write(shop.request("/files/x"))
    await reader.readuntil(b"\r\n\r\n")
    os.truncate(place, 1 << 20)
    size = 0
    try:
        while data := await reader.read(1 << 16):
            size += len(data)
    except ConnectionError:
        pass
    assert size < 32 << 20, "so nobody takes it for whole"
    await close(writer)


# -- listing and removing ----------------------------------------------------------------------------------------------


async def test_a_folder_is_its_listing(shop):
    shop.file("/lab/b.txt", b"12345")
    shop.file("/lab/ä/x")
    os.symlink("b.txt", shop.root / "lab" / "link")
    for path in ("/lab", "/lab/"):
        answer = await shop.ask(path)
        assert answer.headers["content-type"].startswith("application/json")
        page = json.loads(answer.body)
        assert (page["path"], page["next"]) == ("/lab", None)
        assert [(entry["name"], entry["kind"], entry["size"]) for entry in page["entries"]] == [
            ("b.txt", "file", 5),
            ("link", "link", 0),
            ("ä", "folder", 0),
        ]


@pytest.mark.requires("curl")
async def test_a_long_listing_comes_in_pages_that_link_to_each_other(shop):
    for number in range(25):
        shop.file(f"/a b/{number:02}ü")
    path, names = "/a%20b?limit=10", []
    while path:
        got = await shop.curl(path, "-D", "/dev/stderr")
        page = json.loads(got.out)
        names += [entry["name"] for entry in page["entries"]]
        link = [line for line in got.err.splitlines() if line.startswith("Link: <")]
        assert bool(link) == (page["next"] is not None)
        path = link[0].removeprefix("Link: </files").partition(">")[0] if link else ""
    assert names == [f"{number:02}ü" for number in range(25)]
    assert (await shop.ask("/a%20b?limit=x")).status == 400


@pytest.mark.requires("curl")
async def test_curl_removes(shop):
    shop.file("/a/b/x")
    refused = await shop.curl("/a", "-X", "DELETE")
    assert (refused.code, refused.out) == (22, b"the folder /a is not empty\n")
    assert (await shop.curl("/a/b/x", "-X", "DELETE")).code == 0
    assert (await shop.curl("/a?recursive=1", "-X", "DELETE")).code == 0
    assert shop.names() == ["people", "rooms"]
    assert (await shop.ask("/a", method="DELETE")).status == 404


async def test_only_what_was_seen_is_removed(shop):
    shop.file("/x", b"new")
    assert (await shop.ask("/x", 'If-Match: "old"', method="DELETE")).status == 412
    tag = (await shop.ask("/x")).headers["etag"]
    assert (await shop.ask("/x", f"If-Match: {tag}", method="DELETE")).status == 204


# -- putting -----------------------------------------------------------------------------------------------------------


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
    await until(lambda: not shop.server._listeners[0].links)
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


# -- who is calling ----------------------------------------------------------------------------------------------------


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


# -- tricks ------------------------------------------------------------------------------------------------------------


ASTRAY = [
    "/files/../outside.txt",
    "/files/..",
    "/files/lab/../../outside.txt",
    "/files/%2e%2e/outside.txt",
    "/files/%2E%2E%2Foutside.txt",
    "/files/..%2foutside.txt",
    "/files/lab%2fx",
    "/files//etc/passwd",
    "/files//",
    "/files/lab//x",
    "/files/lab/./x",
    "/files/lab/%2e/x",
    "/files/lab/x%00",
    "/files/lab/x%00.txt",
    "/files/%00",
    "/files/lab/x%0d%0aSet-Cookie:%20a=b",
    "/files/lab/%1b[2J",
    "/files/%ff%fe",
    "/files/%c0%ae%c0%ae/outside.txt",
    "/files/%ed%a0%80",
    "/files/..\\outside.txt",
    "/files/..%5coutside.txt",
    "/files/C:%5Cx",
    "/files/lab/x.",
    "/files/lab/x%20",
    "/files/lab/x::$DATA",
    "/files/.tieline-staging/",
    "/files/.tieline-trash",
    "/files/%2etieline-staging/x",
    "/files/.TIELINE-staging/x",
    "/files/People/bob/note",
    "/files/ROOMS/lobby/x",
    "/files/rooms/..%2f",
    "/files/rooms/Lobby/x",
    "/files/people/bob%2fnote",
    "/files/out/outside.txt",
    "/files/" + "a" * 300,
    "/files/" + "a/" * 200,
    "/files%2flab",
    "/filesystem",
    "/../files/lab/x",
    "/files/lab/x/",
    "/files/lab/x/y",
    "http://evil.example/files/lab/x",
    "/files/lab/x%",
    "/files/lab/x%zz",
]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_paths_that_would_lead_astray_lead_nowhere(shop, method):
    shop.file("/lab/x", b"x")
    (shop.root.parent / "outside.txt").write_text("SECRET")
    os.symlink(shop.root.parent, shop.root / "out")
    os.symlink(shop.root.parent / "outside.txt", shop.root / "out-file")
    os.mkfifo(shop.root / "fifo")
    before = sorted(str(path) for path in shop.root.parent.rglob("*") if "tieline.db" not in path.name)
    for target in ASTRAY:
        answer = await shop.say(shop.request(target, method=method, body=b"evil" if method == "PUT" else b""))
        assert b"SECRET" not in answer.body
        assert b"\x1b" not in answer.body
        assert "set-cookie" not in answer.headers
        assert answer.status in (400, 403, 404, 405, 409, 421), (target, answer.body)
    assert (shop.root.parent / "outside.txt").read_text() == "SECRET"
    assert (shop.root / "lab/x").read_bytes() == b"x"
    assert before == sorted(str(path) for path in shop.root.parent.rglob("*") if "tieline.db" not in path.name)


async def test_links_and_special_files_are_not_gone_through(shop):
    (shop.root.parent / "outside.txt").write_text("SECRET")
    os.symlink(shop.root.parent / "outside.txt", shop.root / "link")
    os.mkfifo(shop.root / "fifo")
    for path in ("/link", "/fifo"):
        assert (await shop.ask(path)).status == 409
    assert (await shop.ask("/fifo", method="PUT", body=b"x")).status == 409
    assert (await shop.ask("/link", method="PUT", body=b"x")).status == 204, "the link itself is replaced"
    assert (await shop.ask("/fifo", method="DELETE")).status == 204
    assert (shop.root.parent / "outside.txt").read_text() == "SECRET"
    assert (shop.root / "link").read_bytes() == b"x"
    assert not (shop.root / "link").is_symlink()


async def test_a_path_is_decoded_once(shop):
    assert (await shop.ask("/%252e%252e/100%25", method="PUT", body=b"x")).status == 201
    assert (shop.root / "%2e%2e" / "100%").read_bytes() == b"x"
    assert (await shop.ask("/%252e%252e/100%25")).body == b"x"


async def test_the_rest_of_a_hostile_request_is_no_request(shop):
    """Two lengths, two ways to end a body: no second request may hide in the first."""
    hidden = b"GET /files/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for headers in (
        ["Content-Length: 3", "Content-Length: 50"],
        ["Content-Length: 3", "Transfer-Encoding: chunked"],
        ["Transfer-Encoding: chunked", "Transfer-Encoding: identity"],
        ["Content-Length: +3"],
        ["Content-Length: 3, 3"],
        ["Transfer-Encoding: xchunked"],
    ):
        answer = await shop.say(shop.request("/files/x", *headers, method="PUT") + b"abc" + hidden)
        assert answer.status in (0, 400), headers
        assert answer.body.count(b"HTTP/1.1") == 0
    await shop.settled()
    assert shop.names() == ["people", "rooms"]
