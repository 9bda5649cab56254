"""Files over HTTP, with real curl and wget, and with callers who want something else than a file."""

import json
import os

import pytest

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
