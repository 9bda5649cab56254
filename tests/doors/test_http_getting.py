"""Files fetched over HTTP: whole, in parts, only when they changed, and by callers who go away."""

import asyncio
import json
import os

import pytest
from blake3 import blake3
from tests.doors.files_shop import BIG, close

from tieline.doors import http_answers, http_files, http_sending


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
