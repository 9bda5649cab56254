"""Ctrl-C under a flood on a slow link: 100 kB/s each way, in network namespaces of this test's own."""

import asyncio
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from .conftest import Machines, Servers
from .machines import LONG, command
from .terminals import Terminal

SHELL = ("env", "PS1=$ ", "sh")
PROMPT = 1.5
"Seconds from Ctrl-C to the prompt."


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=30)


def slow_down(prefix: list[str], device: str) -> None:
    """100 kB/s, by netem with a delay, or by a bucket with a queue of 300 ms where the kernel has no netem."""
    shapes = ("netem rate 800kbit delay 20ms limit 1000", "tbf rate 800kbit burst 10kb latency 300ms")
    for shape in shapes:
        done = subprocess.run(
            [*prefix, "tc", "qdisc", "add", "dev", device, "root", *shape.split()], capture_output=True
        )
        if done.returncode == 0:
            return
    raise FileNotFoundError(done.stderr.decode())


@pytest.fixture
def slow_link() -> Iterator[tuple[str, str]]:
    """A namespace that reaches this machine over a slow link: its name, and our address as it sees it."""
    if os.getuid() != 0 or not LONG:
        pytest.skip("needs root and TIELINE_LONG=1")
    name, ours, theirs = (f"tl{kind}{secrets.token_hex(3)}" for kind in "nab")
    try:
        ip("netns", "add", name)
        ip("link", "add", ours, "type", "veth", "peer", "name", theirs, "netns", name)
        ip("addr", "add", "198.18.77.1/30", "dev", ours)
        ip("link", "set", ours, "up")
        for words in (("addr", "add", "198.18.77.2/30", "dev", theirs), ("link", "set", theirs, "up")):
            ip("-n", name, *words)
        for prefix, device in (([], ours), (["ip", "netns", "exec", name], theirs)):
            slow_down(prefix, device)
    except (subprocess.CalledProcessError, FileNotFoundError) as error:
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", ours], check=False, capture_output=True)
        pytest.skip(f"no namespaces or no netem here: {error}")
    yield name, "198.18.77.1"
    subprocess.run(["ip", "link", "del", ours], check=False, capture_output=True)
    subprocess.run(["ip", "netns", "del", name], check=True, capture_output=True)


@pytest.mark.requires("ip", "tc")
@pytest.mark.timeout(300)
async def test_ctrl_c_ends_a_flood_on_a_slow_link(
    slow_link: tuple[str, str], servers: Servers, machines: Machines, tmp_path: Path
) -> None:
    namespace, address = slow_link
    server = servers("--allow-shell", "--listen", f"{address}:0")
    await server.start()
    port = server.said.split(f"tcp://{address}:")[1].split(",")[0].split()[0]
    ticket = (await machines("owner").out("invite", "ada", "--can", "shell", "--address", f"{address}:{port}")).strip()
    ada = machines("ada")
    joining = ["ip", "netns", "exec", namespace, *command("join", ticket)]
    subprocess.run(joining, env=ada.environment, check=True, capture_output=True, timeout=60)  # noqa: ASYNC221
    shell = Terminal(["ip", "netns", "exec", namespace, *command("shell", "--", *SHELL)], ada.environment)
    took = []
    try:
        await shell.shows("$")
        for number in range(5):
            await shell.type("yes flood\r")
            await asyncio.sleep(3)  # every buffer in between is full by then
            began = time.monotonic()
            await shell.type("\x03")
            await shell.type(f"echo prompt''{number}\r")
            await shell.printed(b"prompt%d\r\n" % number)
            took.append(time.monotonic() - began)
            print(f"Ctrl-C to prompt: {took[-1]:.2f} s")
        assert sorted(took)[2] < PROMPT
    finally:
        shell.close()
