"""Files of machines that joined, through the server: whole and verified, whatever is lost, never outside a folder."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from pathlib import Path

import pytest
from blake3 import blake3

import tieline
import tieline.sync
from tieline.errors import CallError, Denied, LinkError, NotFound, Unavailable
from tieline.files import Transferred

from .conftest import Machines
from .machines import DEADLINE, Machine, ServerProcess, login
from .test_called_machines import said

MiB = 1 << 20


async def join(owner: Machine, machine: Machine, account: str, device: str, can: str = "chat,files") -> None:
    ticket = (await owner.out("invite", account, "--can", can)).strip()
    await machine.out("join", "-", "--device", device, stdin=ticket)


async def share(machine: Machine, *, allow: str = "files") -> asyncio.subprocess.Process:
    """An agent whose folder is `share`."""
    folder(machine).mkdir(exist_ok=True)
    process = await machine.start("agent", "--allow", allow, "--files", str(folder(machine)))
    await said(process, "can be called as")
    return process


def folder(machine: Machine) -> Path:
    return machine.folder / "share"


async def grown(where: Path, size: int) -> None:
    """When so much of a file lies in a staging folder."""
    async with asyncio.timeout(DEADLINE):
        while sum(path.stat().st_size for path in (where / ".tieline-staging").glob("part-*")) < size:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_files_and_folders_go_to_a_machine_and_come_back(
    server: ServerProcess, owner: Machine, machines: Machines, tmp_path: Path
) -> None:
    lab = machines("lab-1")
    await join(owner, lab, "ada", "lab-1")
    await share(lab)
    await join(owner, machines("desk"), "bob", "desk")
    desk = machines("desk")
    body = os.urandom(64 * MiB)
    (tmp_path / "big").write_bytes(body)
    (tmp_path / "tree/日本/empty").mkdir(parents=True)
    for number in range(300):
        (tmp_path / f"tree/日本/{number}").write_text(str(number))
    (tmp_path / "tree/link").symlink_to("日本/7")
    await desk.out("put", "--on", "lab-1", str(tmp_path / "big"), "/in/")
    assert (folder(lab) / "in/big").read_bytes() == body
    (listed,) = [json.loads(line) for line in (await desk.out("ls", "--on", "lab-1", "--json", "/in")).splitlines()]
    assert (listed["by"], listed["digest"]) == ("bob", blake3(body).hexdigest())
    await desk.out("get", "--on", "lab-1", "/in/big", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == body
    await asyncio.to_thread(blocking, login(desk.profile()), tmp_path / "big")
    await desk.out("put", "--on", "lab-1", str(tmp_path / "tree"), "/")
    await desk.out("get", "--on", "ada/lab-1", "/tree", f"{tmp_path}/came/")
    assert tree(tmp_path / "came/tree") == tree(tmp_path / "tree") == tree(folder(lab) / "tree")
    code, _, told = await desk.run("sync", "--on", "lab-1", str(tmp_path / "tree"), "/tree")
    assert (code, "300 were there already" in told) == (0, True)
    await desk.out("mkdir", "--on", "lab-1", "/other")
    await desk.out("mv", "--on", "lab-1", "/in/big", "/other/small")
    await desk.out("rm", "--on", "lab-1", "-r", "/tree", "/other", "/in")
    assert await desk.out("ls", "--on", "lab-1") == ""
    assert await desk.out("put", "--on", "lab-1", "-", "/piped", stdin="from a pipe") == ""
    assert await desk.out("get", "--on", "lab-1", "/piped", "-") == "from a pipe"
    assert list((server.data / "files").iterdir()), "the server has files of its own"
    assert not [*(server.data / "files").rglob("piped")], "and none of these"


def blocking(who: dict[str, str], big: Path) -> None:
    """The same by a program without asyncio."""
    with tieline.sync.connect(**who) as peer:  # type: ignore[arg-type]
        files = peer.files.on("lab-1")
        assert [entry.name for entry in files.list("/in")] == ["big"]
        assert files.put(big, "/in/").skipped == 1
        with files.open("/in/big") as file:
            assert file.read(1000) == big.read_bytes()[:1000]


def tree(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        if path.is_file() else "folder"
        for path in root.rglob("*")
    }  # fmt: skip


@pytest.mark.parametrize("what", ["agent", "agent in order", "server"])
async def test_a_transfer_goes_on_when_what_was_ended_in_it_is_back(
    server: ServerProcess, owner: Machine, machines: Machines, tmp_path: Path, what: str
) -> None:
    lab = machines("lab-1")
    await join(owner, lab, "ada", "lab-1")
    process = await share(lab)
    await join(owner, machines("desk"), "bob", "desk")
    body = os.urandom(40 * MiB)
    (tmp_path / "up").write_bytes(body)

    async def kill_and_bring_back() -> None:
        if what == "server":
            await server.kill()
            await server.start()
        else:
            process.send_signal(signal.SIGKILL if what == "agent" else signal.SIGINT)
            assert await process.wait() in (0, -signal.SIGKILL)
            await share(lab)

    async with tieline.connect(**login(machines("desk").profile())) as peer:
        files = peer.files.on("lab-1")
        for up in (True, False):
            if not up and what != "server":
                continue  # killed once; the other way round is the same for the server's sake
            moving = asyncio.create_task(
                in_the_end(lambda: files.put(tmp_path / "up", "/x"))
                if up
                else in_the_end(lambda: files.get("/x", tmp_path / "down", inside=False))
            )
            async with asyncio.timeout(DEADLINE):
                await grown(folder(lab) if up else tmp_path, 8 * MiB)
                await kill_and_bring_back()
                done = await moving
            assert done.failed == []
            assert done.wire_bytes < 2 * len(body) - 8 * MiB, "it went on, and did not begin anew"
    assert (folder(lab) / "x").read_bytes() == body
    assert what != "server" or (tmp_path / "down").read_bytes() == body
    assert not [name for name in os.listdir(folder(lab) / ".tieline-staging") if "part" in name]


async def in_the_end(transfer: Callable[[], Coroutine[None, None, Transferred]]) -> Transferred:
    """By itself, or by the same command: on a busy machine an agent takes longer to be back than one waits for it."""
    while True:
        try:
            return await transfer()
        except (Unavailable, LinkError):
            pass


async def test_the_same_command_goes_on_with_what_was_stopped(
    server: ServerProcess, owner: Machine, machines: Machines, tmp_path: Path
) -> None:
    lab = machines("lab-1")
    await join(owner, lab, "ada", "lab-1")
    process = await share(lab)
    body = os.urandom(64 * MiB)
    (tmp_path / "up").write_bytes(body)
    stopped = await owner.start("put", "--on", "lab-1", str(tmp_path / "up"), "/x")
    await grown(folder(lab), 12 * MiB)
    process.send_signal(signal.SIGSTOP)  # so that it does not end before it is stopped
    stopped.send_signal(signal.SIGINT)
    async with asyncio.timeout(DEADLINE):
        assert await stopped.wait() == 130
    process.send_signal(signal.SIGCONT)
    assert not (folder(lab) / "x").exists()
    again = await owner.out("put", "--on", "lab-1", "--json", str(tmp_path / "up"), "/x")
    done = json.loads(again.splitlines()[-1])
    assert done["wire_bytes"] < len(body) - 4 * MiB
    assert (folder(lab) / "x").read_bytes() == body


async def test_nothing_outside_the_folder_is_read_or_written(
    server: ServerProcess, owner: Machine, machines: Machines, tmp_path: Path
) -> None:
    lab = machines("lab-1")
    await join(owner, lab, "ada", "lab-1")
    await share(lab)
    (tmp_path / "secret").write_text("secret")
    (folder(lab) / "way").symlink_to(tmp_path)
    (folder(lab) / "file").symlink_to(tmp_path / "secret")
    (folder(lab) / "pipe").symlink_to("/dev/zero")
    (tmp_path / "new").write_text("new")
    before = sorted(os.listdir(tmp_path))
    async with tieline.connect(server.unix) as peer:
        files = peer.files.on("lab-1")
        for path in ("/file", "/way/secret", "/../secret", "/way/../secret", "/pipe", "/.tieline-staging", "/a\\..\\b"):
            for work in (
                files.get(path, tmp_path / "got", inside=False),
                files.put(tmp_path / "new", f"{path}/new", inside=False),
                files.remove(f"{path}/new", whole=True),
                peer.call("lab-1/files.make", path=f"{path}/new"),
                peer.call("lab-1/files.move", source=path, target="/way/moved"),
                peer.call("lab-1/files.move", source="/way/secret", target="/mine"),
            ):
                assert not await is_done(work), (path, work)
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "secret").read_text() == "secret"


async def is_done(work: Awaitable[object]) -> bool:
    try:
        done = await work
    except CallError:
        return False
    return not (isinstance(done, Transferred) and done.failed)


async def test_who_may_less_does_less_and_a_machine_may_allow_reading_only(
    server: ServerProcess, owner: Machine, machines: Machines, tmp_path: Path
) -> None:
    lab, vault = machines("lab-1"), machines("vault")
    await join(owner, lab, "ada", "lab-1")
    await join(owner, vault, "ada", "vault")
    await share(lab)
    await share(vault, allow="files.read")
    (tmp_path / "new").write_text("new")
    for place in (lab, vault):
        (folder(place) / "x").write_text("x")
    for account, can, reads, writes in (
        ("eve", "chat", False, False),
        ("rex", "chat,files.read", True, False),
        ("wes", "chat,files.write", False, True),
        ("bob", "chat,files", True, True),
    ):
        person = machines(account)
        await join(owner, person, account, account, can)
        async with tieline.connect(**login(person.profile())) as peer:
            for name in ("lab-1", "vault"):
                files, may_write = peer.files.on(name), writes and name == "lab-1"
                here = tmp_path / f"{account}-{name}"
                for work, may in (
                    (files.list("/"), reads),
                    (files.get("/x", here, inside=False), reads),
                    (files.put(tmp_path / "new", f"/{account}"), may_write),
                    (peer.call(f"{name}/files.make", path=f"/{account}.d"), may_write),
                    (peer.call(f"{name}/files.move", source=f"/{account}.d", target=f"/{account}.m"), may_write),
                    (peer.call(f"{name}/files.remove", path=f"/{account}.m"), may_write),
                ):
                    assert await does(work) == may, (account, name, work)
                assert here.exists() == reads
    assert sorted(path.name for path in folder(lab).iterdir() if path.name[0] != ".") == [
        "bob", "wes", "x",
    ]  # fmt: skip
    assert [path.name for path in folder(vault).iterdir() if path.name[0] != "."] == ["x"]
    async with tieline.connect(server.unix) as admin:  # who may everything, but for what the machine allows
        with pytest.raises(Denied, match="needs the scope 'files"):
            await admin.files.on("vault").put(tmp_path / "new", "/admin", inside=False)
        with pytest.raises(NotFound, match="no method 'files"):
            await admin.files.on("vault").remove("/x")
    assert [path.name for path in folder(vault).iterdir() if path.name[0] != "."] == ["x"]


async def does(work: Awaitable[object]) -> bool:
    """Whether it could be done; what else than a refusal goes wrong is raised."""
    try:
        done = await work
    except Denied:
        return False
    except NotFound as error:
        if "no method" not in str(error):
            raise
        return False
    return not (isinstance(done, Transferred) and done.failed)


async def test_revoking_ends_a_transfer_with_a_machine(
    server: ServerProcess, owner: Machine, machines: Machines, tmp_path: Path
) -> None:
    lab = machines("lab-1")
    await join(owner, lab, "ada", "lab-1")
    await share(lab)
    await join(owner, machines("desk"), "bob", "desk")
    read, write = os.pipe()
    async with tieline.connect(**login(machines("desk").profile())) as peer:
        moving = asyncio.create_task(peer.files.on("lab-1").put_stream(read, "/endless"))
        os.write(write, bytes(1000))
        await until_something_is(folder(lab) / ".tieline-staging")
        await owner.out("revoke", "bob")
        async with asyncio.timeout(DEADLINE):
            os.write(write, bytes(60_000))
            with pytest.raises((LinkError, tieline.errors.LoginError, Denied)):
                await moving
    os.close(write)
    os.close(read)
    async with asyncio.timeout(DEADLINE):
        while os.listdir(folder(lab) / ".tieline-staging"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert not (folder(lab) / "endless").exists()


async def until_something_is(where: Path) -> None:
    async with asyncio.timeout(DEADLINE):
        while not os.listdir(where):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_is_no_lane_gets_nowhere_through_a_tunnel(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    lab = machines("lab-1")
    await join(owner, lab, "ada", "lab-1")
    await share(lab)

    async def bytes_of(*pieces: bytes) -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async with tieline.connect(server.unix) as peer:
        for pieces in ((), (b"GET / HTTP/1.1\r\n\r\n",), (b"\xf8tieline-lane/1\n", bytes(100)), (os.urandom(MiB),)):
            async with asyncio.timeout(DEADLINE):
                said_back = b"".join([p async for p in peer.stream("lab-1/files.tunnel", up=bytes_of(*pieces))])
            assert len(said_back) < 1000, pieces
        waiting = [peer.stream("lab-1/files.tunnel", up=silence()) for _ in range(200)]
        readers = [asyncio.create_task(anext(aiter(one), None)) for one in waiting]
        (folder(lab) / "x").write_text("still here")
        assert [entry.name for entry in await peer.files.on("lab-1").list("/")] == ["x"]
        async with peer.files.on("lab-1").open("/x") as file:
            assert await file.read(100) == b"still here"
        for reader in readers:
            reader.cancel()
        await asyncio.gather(*readers, return_exceptions=True)


async def silence() -> AsyncIterator[bytes]:
    await asyncio.sleep(DEADLINE)
    yield b""


async def test_an_agent_says_what_sharing_takes(server: ServerProcess, owner: Machine, machines: Machines) -> None:
    lab = machines("lab-1")
    await join(owner, lab, "ada", "lab-1", "chat,shell")
    folder(lab).mkdir()
    for arguments, words in (
        (("--allow", "files"), "goes with --files DIR"),
        (("--allow", "run", "--files", str(folder(lab))), "goes with --files DIR"),
        (("--allow", "files,files.read", "--files", str(folder(lab))), "the first is more than the second"),
        (("--allow", "files", "--files", str(folder(lab) / "none")), "does not exist"),
        (("--allow", "files", "--files", str(folder(lab))), "does not hold the scope 'files.read' itself"),
    ):
        code, _, told = await lab.run("agent", *arguments)
        assert (code != 0, words in told) == (True, True), (arguments, told)
