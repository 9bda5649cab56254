"""The bytes that protocol.md shows are whole frames, and their login is what RFC 5802 computes of the page's facts."""

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import msgspec
import pytest

Said = list[tuple[int, int, Any]]


@pytest.fixture
def page(root: Path) -> str:
    return (root / "docs" / "protocol.md").read_text().partition("<!-- exchange -->")[2]


def bytes_of(page: str, side: str) -> bytes:
    """All that one side sends."""
    blocks = re.findall(rf"^{side}: .*\n(?:  \S.*\n)*((?:    [0-9a-f ]+\n)+)", page, re.MULTILINE)
    return bytes.fromhex(" ".join(blocks))


def said(page: str, side: str) -> Said:
    data = bytes_of(page, side)
    assert data.startswith(b"\xf7tieline/1\n")
    data, frames = data[11:], []
    while data:
        size, kind, channel = int.from_bytes(data[:4], "big"), data[4], int.from_bytes(data[5:9], "big")
        assert len(data) >= 9 + size
        payload, data = data[9 : 9 + size], data[9 + size :]
        frames.append((kind, channel, msgspec.msgpack.decode(payload) if payload else None))
    return frames


def fact(page: str, name: str) -> str:
    found = re.search(rf"^\| .*{name} \| `(\w+)` \|$", page, re.MULTILINE)
    assert found
    return found[1]


def test_the_frames_are_those_that_the_words_above_them_say(page: str) -> None:
    opening = [(1, 0), (2, 0), (2, 0)]
    assert [frame[:2] for frame in said(page, "client")] == [*opening, (4, 1), (4, 3), (4, 5)]
    answers = [(5, 1), (6, 3), (7, 5), (7, 5), (10, 5)]
    assert [frame[:2] for frame in said(page, "server")] == [(1, 0), (2, 0), (3, 0), *answers]
    assert said(page, "client")[3][2] == ["echo.upper", {"text": "hi"}, None]
    assert said(page, "server")[3][2] == "HI"


def test_the_login_is_what_the_rfc_computes_of_the_facts_in_the_table(page: str) -> None:
    def digest(key: bytes, data: bytes) -> bytes:
        return hmac.digest(key, data, "sha256")

    first, final = (frame[2][1].decode() for frame in said(page, "client")[1:3])
    challenge, signature = said(page, "server")[1][2][1].decode(), said(page, "server")[2][2][4].decode()
    salt, rounds = bytes.fromhex(fact(page, "salt")), int(fact(page, "rounds"))
    salted = hashlib.pbkdf2_hmac("sha256", fact(page, "`ada/laptop`").encode(), salt, rounds)
    client, server = digest(salted, b"Client Key"), digest(salted, b"Server Key")
    stored = hashlib.sha256(client).digest()
    assert (stored.hex(), server.hex()) == (fact(page, "stored key"), fact(page, "server key"))

    without_proof, _, proof = final.partition(",p=")
    heard = f"{first.removeprefix('p=tls-server-end-point,,')},{challenge},{without_proof}".encode()
    bound = b"p=tls-server-end-point,," + bytes.fromhex(fact(page, "certificate"))
    assert without_proof.startswith(f"c={b64encode(bound).decode()},r=")
    proven = bytes(a ^ b for a, b in zip(b64decode(proof), digest(stored, heard), strict=True))
    assert proven == client
    assert signature == f"v={b64encode(digest(server, heard)).decode()}"
