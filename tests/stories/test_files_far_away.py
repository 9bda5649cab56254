"""Under 20 ms of delay: thousands of small files do not take thousands of round trips.

The delay is made by a proxy of our own, the same for all, since not every kernel can make one (netem).
"""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.ports import free_port

from .machines import LONG, environment

FILES = 5000 if LONG else 300
DELAY = 0.010
"Seconds, each way."

pytestmark = pytest.mark.timeout(600 if LONG else 120)


class Late(asyncio.Protocol):
    """Hands on what comes to the other side, but later."""

    def __init__(self) -> None:
        self.other: Late | None = None
        self.transport: asyncio.Transport | None = None
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        for data in self._early:
            transport.write(data)

    def data_received(self, data: bytes) -> None:
        asyncio.get_running_loop().call_later(DELAY, self._hand_on, data)

    def connection_lost(self, exc: Exception | None) -> None:
        asyncio.get_running_loop().call_later(DELAY, self._hand_on, b"")

    def _hand_on(self, data: bytes) -> None:
        assert self.other is not None
        if self.other.transport is None:
            self.other._early.append(data)
        elif data:
            self.other.transport.write(data)
        else:
            self.other.transport.close()


@asynccontextmanager
async def far_away(port: int) -> AsyncIterator[int]:
    """The port by which what listens on `port` is 20 ms away."""
    loop, dialling = asyncio.get_running_loop(), set[asyncio.Task[object]]()

    def accepted() -> Late:
        near, far = Late(), Late()
        near.other, far.other = far, near
        task: asyncio.Task[object] = asyncio.ensure_future(loop.create_connection(lambda: far, "127.0.0.1", port))
        dialling.add(task)
        return near

    server = await loop.create_server(accepted, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.gather(*dialling, return_exceptions=True)


def run(*command: str, **options: object) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    return str(done.stdout)


async def test_small_files_take_few_round_trips(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for number in range(FILES):
        (source / f"{number:05}").write_bytes(os.urandom(4096))
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", SERVER, str(tmp_path / "data")), stdout=subprocess.PIPE
    )
    assert server.stdout is not None
    try:
        ticket, port = (await server.stdout.readline()).decode().split()
        async with far_away(int(port)) as far:
            there = ticket.replace(f":{port}/", f":{far}/")
            client = [sys.executable, "-c", CLIENT, there, str(source), str(tmp_path / "back")]
            out = await asyncio.to_thread(run, *client, env=environment(tmp_path))
        up, down = map(float, out.split())
        assert len(os.listdir(tmp_path / "data" / "files" / "x")) == FILES
        assert len(os.listdir(tmp_path / "back")) == FILES
    finally:
        server.terminate()
        await server.communicate()
    # A round trip is 20 ms: for each file one would be 6 s here, 100 s at full length.
    print(f"{FILES} files under 20 ms: {up:.2f} s up, {down:.2f} s down", end="")
    assert up < FILES * 0.02
    assert down < FILES * 0.02


@pytest.mark.requires("ssh", "sshd", "ssh-keygen", "tar")
@pytest.mark.skipif(not LONG, reason="a comparison of times, at full length only (TIELINE_LONG)")
async def test_they_take_no_longer_than_tar_over_ssh(tmp_path: Path) -> None:
    await test_small_files_take_few_round_trips(tmp_path)
    port = free_port()
    async with far_away(port) as far:
        peer = await asyncio.to_thread(tar_over_ssh, tmp_path / "source", tmp_path, port, far)
        print(f"; tar over ssh {peer:.2f} s up")


def tar_over_ssh(source: Path, folder: Path, port: int, far: int) -> float:
    """Seconds of `tar | ssh tar` over a connection that is open already."""
    for key in ("host", "user"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key))
    Path("/run/sshd").mkdir(exist_ok=True)
    (folder / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        "PermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile none\n"
    )
    sshd = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "config")], stderr=subprocess.PIPE)
    control = folder / "control"
    ssh = ["ssh", "-p", str(far), "-i", str(folder / "user"), "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]
    ssh += ["-o", f"UserKnownHostsFile={folder}/known", "-o", f"ControlPath={control}", "root@127.0.0.1"]
    assert sshd.stderr is not None
    sshd.stderr.readline()
    master = subprocess.Popen([*ssh[:1], "-M", "-N", *ssh[1:]])
    try:
        while not control.exists():
            assert master.poll() is None
            time.sleep(0.05)
        target = folder / "tarred"
        target.mkdir()
        began = time.perf_counter()
        tar = subprocess.Popen(["tar", "cf", "-", "-C", str(source), "."], stdout=subprocess.PIPE)
        subprocess.run([*ssh, f"tar xf - -C {target}"], stdin=tar.stdout, check=True)
        assert tar.stdout is not None
        tar.stdout.close()
        assert tar.wait() == 0
        seconds = time.perf_counter() - began
        assert len(os.listdir(target)) == FILES
        return seconds
    finally:
        for process in (master, sshd):
            process.terminate()
            process.communicate()


SERVER = """
import asyncio, sys, tieline
async def main():
    server = tieline.Server(data=sys.argv[1])
    async with server.serving("127.0.0.1:0") as (address,):
        where = address.partition("//")[2]
        print(await server.invite("ada", can=["files"], where=where), where.partition(":")[2], flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""

CLIENT = """
import asyncio, secrets, sys, tieline
from tieline.login.scram import make_verifier
async def main():
    ticket, source, back = sys.argv[1:]
    async with tieline.connect(ticket) as peer:
        await peer.call("accounts.enrol", device="laptop", verifier=make_verifier("key", 4096, secrets.token_bytes))
    where = ticket.partition("#")[0].replace("tieline://", "tls://").replace("/ada", "")
    async with tieline.connect(where, account="ada", device="laptop", key="key") as peer:
        up = await peer.files.put(source, "/x", inside=False)
        down = await peer.files.get("/x", back)
        assert not up.failed and not down.failed
        print(up.seconds, down.seconds)
asyncio.run(main())
"""
