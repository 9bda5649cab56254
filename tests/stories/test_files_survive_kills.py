"""Client or server are killed while files move: what was acknowledged is there, nothing is there in part, and the same
command goes on."""

import asyncio
import json
import os
import random
import signal
from pathlib import Path

import pytest
from blake3 import blake3

import tieline
from tieline.limits import MiB
from tieline.wire.lane import BLOCK

from .conftest import Servers
from .dying_server import STEPS
from .machines import DEADLINE, LONG, Machine, ServerProcess
from .proxy import DOWN, UP, Cut, Proxy
from .test_files_on_bad_networks import ada, client

IN_FLIGHT = 16 * MiB
SIZE = 1024 * MiB if LONG else 40 * MiB
KILLS = 20 if LONG else 2
SMALL = 300
FEW_STEPS = [
    "a block is written and not verified",
    "bytes are durable",
    "it has its name",
    "it is recorded and not acknowledged",
]


def digest(path: Path) -> bytes:
    return blake3().update_mmap(path).digest()


@pytest.fixture
def content(tmp_path: Path) -> Path:
    piece = os.urandom(MiB)
    with (tmp_path / "content").open("wb") as file:
        for number in range(SIZE // MiB):
            file.write(number.to_bytes(8, "big") + piece[8:])
    return tmp_path / "content"


class Killing(Proxy):
    """Where others tear the connection, this kills the server behind it, and starts it again."""

    def __init__(self, server: ServerProcess) -> None:
        super().__init__(server.port)
        self.killed = 0
        self._server = server
        self._due = asyncio.Event()

    def _tear(self, reset: bool) -> None:
        if not self._due.is_set():
            self._server.tell(signal.SIGKILL)
            self._due.set()
        super()._tear(reset)

    async def keep_alive(self) -> None:
        while True:
            await self._due.wait()
            await self._server.kill()
            await self._server.start()
            self.killed += 1
            self._due.clear()


@pytest.mark.timeout(3600 if LONG else 120)
@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_a_transfer_outlives_servers(
    server: ServerProcess, tmp_path: Path, content: Path, direction: str
) -> None:
    chance = random.Random(5)
    await ada(server)
    if direction == "down":
        (server.data / "files" / "x").write_bytes(content.read_bytes())
    network = Killing(server)
    way = UP if direction == "up" else DOWN
    keeper = asyncio.create_task(network.keep_alive())
    async with network.running(), client(server, network.port) as peer:
        network.arm(*(Cut(way, chance.randrange(1, SIZE // KILLS)) for _ in range(KILLS)))
        if direction == "up":
            done = await peer.files.put(content, "/x")
            arrived = server.data / "files" / "x"
        else:
            done = await peer.files.get("/x", tmp_path / "back")
            arrived = tmp_path / "back"
        network.arm()
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)
    assert network.killed >= 1
    assert (done.failed, done.files) == ([], 1)
    assert digest(arrived) == digest(content)
    assert network.passed[way] - SIZE <= done.attempts * (BLOCK + IN_FLIGHT)


@pytest.mark.timeout(3600 if LONG else 120)
@pytest.mark.parametrize("direction", ["up", "down"])
async def test_the_same_command_goes_on_where_a_killed_one_was(
    server: ServerProcess, owner: Machine, tmp_path: Path, content: Path, direction: str
) -> None:
    chance = random.Random(6)
    if direction == "up":
        command, arrived = ["put", str(content), "/x"], server.data / "files" / "x"
    else:
        (server.data / "files" / "x").write_bytes(content.read_bytes())
        command, arrived = ["get", "/x", str(tmp_path / "back")], tmp_path / "back"
    staging = (server.data / "files" if direction == "up" else tmp_path) / ".tieline-staging"
    moved, begun = 0, 0
    for kill in sorted(chance.randrange(SIZE) for _ in range(KILLS)):
        process = await owner.start(*command)
        while process.returncode is None and (begun := staged(staging)) <= kill:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        if process.returncode is None:
            process.kill()
        await process.communicate()
        assert not arrived.exists() or digest(arrived) == digest(content)
    code, out, said = await owner.run(*command, "--json")
    assert code == 0, said
    done = json.loads(out.splitlines()[-1])
    moved = done["wire_bytes"]
    assert digest(arrived) == digest(content)
    assert moved <= SIZE - begun + BLOCK + IN_FLIGHT, "it went on, and did not begin anew"
    assert not staging.exists() or not list(staging.iterdir())


def staged(folder: Path) -> int:
    """Bytes that lie there."""
    try:
        return sum(path.stat().st_size for path in folder.iterdir())
    except FileNotFoundError:
        return 0


def test_the_steps_at_which_it_dies_are_still_those_of_the_code() -> None:
    assert all(callable(getattr(owner, name)) for owner, name, _ in STEPS.values())


@pytest.mark.parametrize("step", STEPS if LONG else FEW_STEPS)
async def test_at_no_step_of_storing_is_anything_there_in_part_or_lost(
    servers: Servers, tmp_path: Path, step: str
) -> None:
    """The first run dies at that step; the same command against a sound server then ends."""
    server = servers()
    source = tmp_path / "source"
    source.mkdir()
    (source / "large").write_bytes(os.urandom(9 * MiB + 1))
    for number in range(SMALL):
        (source / f"{number:04}").write_bytes(os.urandom(3000))
    contents = {path.name: path.read_bytes() for path in source.iterdir()}
    most = SMALL if step in ("small files are staged", "it has its name") else 1
    # Who died at the last step had given every file its name: nothing is left for a second death.
    again = LONG and most == 1 and step != "the catalogue is told"
    for _ in range(2 if again else 1):
        count = random.Random(step).randrange(most)
        await server.start(prefix=[str(Path(__file__).with_name("dying_server.py")), step, str(count)])
        acknowledged: set[str] = set()
        died = asyncio.create_task(server.ended())
        async with tieline.connect(server.unix) as peer:
            putting = asyncio.create_task(put_noting(peer, source, acknowledged))
            async with asyncio.timeout(DEADLINE):
                await asyncio.wait({died, putting}, return_when=asyncio.FIRST_COMPLETED)
            assert died.done() or not putting.done(), "the server was to die"
            await died
            putting.cancel()
            await asyncio.gather(putting, return_exceptions=True)
        there = server.data / "files" / "source"
        for path in there.iterdir() if there.exists() else ():
            assert path.read_bytes() == contents[path.name], "never a part under its final name"
        for name in acknowledged:
            assert (there / name).exists(), "what was acknowledged is there"
    await server.start()
    async with tieline.connect(server.unix) as peer:
        done = await peer.files.put(source, "/")
        assert done.failed == []
        assert done.files + done.skipped == len(contents)
        listed = {entry.name: entry.digest for entry in await peer.files.list("/source")}
    assert {path.name: path.read_bytes() for path in there.iterdir()} == contents
    assert not list((server.data / "files" / ".tieline-staging").iterdir())
    # What had its name already and was not recorded is there like a file that came by hand: whole, and known by nobody.
    assert all(listed[name] in ("", blake3(content).hexdigest()) for name, content in contents.items())


async def put_noting(peer: tieline.Client, source: Path, acknowledged: set[str]) -> None:
    """Put, and note what was acknowledged, by whatever the lane says."""
    from tieline.files import tally

    real = tally.Tally.kept

    def kept(self: tally.Tally, count: int, failures: object, notes: object) -> None:
        real(self, count, failures, notes)  # type: ignore[arg-type]
        acknowledged.update(path[-1] for _, path in self._done if path)

    tally.Tally.kept = kept  # type: ignore[method-assign]
    try:
        await peer.files.put(source, "/")
    finally:
        tally.Tally.kept = real  # type: ignore[method-assign]
