"""The examples of the library page do what they say, and everything public is in use in one."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import pytest

import tieline
import tieline.sync
import tieline.testing

PRINTED = {
    "failures": [
        "Conflict: call otherwise: ada has the ladder",
        "DeadlineExceeded: look whether it was done, then call again",
        "InvalidArgument: call otherwise: shelf.take: item: expected `str`, got `int`",
        "NotFound: call otherwise: no method 'shelf.give' here; `tieline methods` lists them",
        "Denied: call otherwise: shelf.take needs the scope 'chat'; ask an admin of this server for it",
    ],
    "codecs": [
        "Raw b'as it comes'",
        "Lines a line",
        "Delimited b'up to a zero'",
        "Fixed b'four'",
        "LengthPrefixed b'a length first'",
        "JsonLines {'one': ['for', 'each', 'line']}",
        "JsonValues {'end': 'to end'}",
        "Netstrings b'hello'",
    ],
    "sealed": ["b'HELLO'"],
    "following": ["[(2, 1), (3, 2)]", "owner at local, by unix", "[0, 1, 2]", "1 file put", "all is well"],
}


def command(root: Path, name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", str(root / "docs" / "examples" / f"{name}.py"), *arguments]


@pytest.mark.parametrize("name", PRINTED)
def test_it_prints_what_it_is_to_print(name: str, root: Path, tmp_path: Path) -> None:
    done = subprocess.run(command(root, name), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == PRINTED[name]


async def test_a_program_without_asyncio_has_each_kind(root: Path) -> None:
    server = tieline.Server(guests=True)
    visits = server.topic("visits")

    @server.method("greet")
    def greet(name: str, peer: tieline.Peer) -> str:
        visits.publish(f"{peer.identity.account} greeted {name}")
        return f"hello {name}"

    @server.method("countdown")
    async def countdown(start: int) -> AsyncIterator[int]:
        for number in range(start, 0, -1):
            yield number

    async def talk(link: tieline.Link) -> None:
        async for line in link:
            await link.send(line.upper())

    async with (
        server.serving("tcp://127.0.0.1:0") as addresses,
        tieline.listen("tcp://127.0.0.1:0", talk, codec=tieline.Lines()) as lines,
        tieline.datagrams("udp://127.0.0.1:0", lambda message, sender: message.upper()) as endpoint,
    ):
        program = await asyncio.create_subprocess_exec(
            *command(root, "blocking_kinds", addresses[0], lines.address, endpoint.address),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await program.communicate()
    assert (program.returncode, err.decode()) == (0, "")
    assert out.decode().splitlines() == ["hello Ada [3, 2, 1] greeted Ada", "HELLO", "b'HELLO'"]


@pytest.mark.parametrize("name", ["test_transport", "test_clock"])
def test_the_examples_of_tests_pass(name: str, root: Path) -> None:
    options = ["-q", "-o", "asyncio_mode=auto", "-p", "no:cacheprovider", f"{name}.py"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options],
        cwd=root / "docs" / "examples",
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_everything_public_is_in_use_in_an_example(generate: ModuleType) -> None:
    names = [
        f"{module.__name__}.{name}" for module in (tieline, tieline.sync, tieline.testing) for name in module.__all__
    ]
    unused = [name for name in names if not list(generate._seen_in(name))]
    assert unused == ["tieline.__version__"]
