"""`tieline gallery upload` and callers with bare sockets."""

import json
import os
import socket
import struct
import time
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("uploads") / "made"


@pytest.fixture(scope="module")
def upload(gallery, folder):
    return gallery("upload", "--into", str(folder), "--largest", str(64 << 20))


def head(name: str, size: object, **more) -> bytes:
    header = json.dumps({"file_name": name, "file_size": size, **more}).encode()
    return struct.pack("i", len(header)) + header


def saved(upload, name: str) -> str:
    return upload.until(lambda line: f"saved: {name}," in line)


def refused(upload, client: socket.socket) -> str:
    place = "{}:{}".format(*client.getsockname())
    return upload.until(lambda line: line.startswith(f"from {place} refused:"))


def refusals(upload) -> int:
    return sum("refused:" in line for line in upload.printed)


def parts(folder: Path) -> list[str]:
    return [name for name in os.listdir(folder) if name.startswith(".")]


def wait_until_no_part_is_left(folder: Path) -> None:
    limit = time.monotonic() + 10
    while parts(folder):
        assert time.monotonic() < limit, parts(folder)
        time.sleep(0.01)


def test_a_learners_client_uploads_a_file(upload, folder, call):
    content = os.urandom(3_000_000)
    client = call(upload)
    client.send(head("photo 1.jpg", len(content), md5="not looked at"))
    client.sendall(content)
    client.close()
    saved(upload, "photo 1.jpg")
    assert (folder / "photo 1.jpg").read_bytes() == content


def test_files_that_follow_one_another_in_a_packet_are_each_whole(upload, folder, call):
    client = call(upload)
    client.sendall(head("one", 3) + b"abc" + head("empty", 0) + head("报告.txt", 2) + b"de")
    saved(upload, "报告.txt")
    assert [(folder / name).read_bytes() for name in ("one", "empty", "报告.txt")] == [b"abc", b"", b"de"]


def test_one_byte_at_a_time_arrives_whole(upload, folder, call):
    client = call(upload)
    for byte in head("slow", 5) + b"bytes":
        client.send(bytes([byte]))
    saved(upload, "slow")
    assert (folder / "slow").read_bytes() == b"bytes"


def test_a_part_is_never_seen_under_its_name_and_an_older_file_stays_until_the_new_one_is_whole(upload, folder, call):
    client = call(upload)
    client.sendall(head("plan", 3) + b"old")
    saved(upload, "plan")
    client.sendall(head("plan", 1_000_003) + b"x" * 1_000_000)
    other = call(upload)
    other.sendall(head("meanwhile", 1) + b"x")
    saved(upload, "meanwhile")
    assert (folder / "plan").read_bytes() == b"old"
    client.sendall(b"new")
    upload.until(lambda line: "saved: plan, 1,000,003" in line)
    assert (folder / "plan").read_bytes()[-3:] == b"new"


@pytest.mark.parametrize("size", [10, 10_000_000])
def test_who_vanishes_in_the_middle_leaves_nothing(upload, folder, call, vanish, size):
    client = call(upload)
    client.sendall(head("never", size) + b"x" * (size // 2))
    before = refusals(upload)
    vanish(client)
    upload.until(lambda _: refusals(upload) > before)
    wait_until_no_part_is_left(folder)
    assert not (folder / "never").exists()


@pytest.mark.parametrize(
    "name",
    ["../evil", "/tmp/evil", "a/b", "a\\b", "", ".", "..", ".hidden", "a\0b", "a\nb", "end\n", "x" * 256, "\x1b[2J"],
)
def test_a_name_that_is_more_than_a_name_is_refused(upload, folder, call, name):
    before = set(os.listdir(folder.parent)), set(os.listdir(folder)) - set(parts(folder))
    client = call(upload)
    client.sendall(head(name, 1) + b"x")
    assert "\x1b" not in refused(upload, client)
    assert (set(os.listdir(folder.parent)), set(os.listdir(folder)) - set(parts(folder))) == before


@pytest.mark.parametrize("size", [-1, "7", 1.5, None, True, 1 << 40])
def test_a_size_that_is_none_or_too_large_is_refused(upload, folder, call, size):
    client = call(upload)
    client.sendall(head("big", size))
    refused(upload, client)
    assert not (folder / "big").exists()


@pytest.mark.parametrize(
    "garbage", [struct.pack("i", -5), struct.pack("i", 1 << 30), b"\xff" * 100, b"GET / HTTP/1.1\r\n\r\n"]
)
def test_a_flood_of_what_is_no_header_is_closed(upload, call, garbage):
    client = call(upload)
    try:
        for _ in range(100):
            client.sendall(garbage * 100)
        assert client.recv(1024) == b""
    except ConnectionError:
        pass  # put out in the middle of it


def test_a_hundred_at_once_a_fifth_of_them_crashing(upload, folder, call, at_once, vanish):
    def one(number: int) -> None:
        client = call(upload)
        content = bytes([number]) * (100_000 + number)
        client.send(head(f"file {number}", len(content)))
        if number % 5 == 0:
            client.send(content[:50_000])
            vanish(client)
        else:
            client.sendall(content)
            client.close()

    at_once(one)
    for number in range(100):
        if number % 5:
            saved(upload, f"file {number}")
            assert (folder / f"file {number}").read_bytes() == bytes([number]) * (100_000 + number)
        else:
            assert not (folder / f"file {number}").exists()
    wait_until_no_part_is_left(folder)


def test_the_same_name_at_once_is_one_of_them_whole(upload, folder, call, at_once):
    def one(number: int) -> None:
        client = call(upload)
        client.sendall(head("same", 200_000 + number) + bytes([number]) * (200_000 + number))
        saved_size = f"saved: same, {200_000 + number:,} bytes"
        upload.until(lambda line: saved_size in line)

    at_once(one)
    content = (folder / "same").read_bytes()
    assert content == bytes([content[0]]) * (200_000 + content[0])
