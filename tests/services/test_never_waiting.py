"""Nobody waits for what another makes the server do: not for a password that is hashed, nor for a file that is."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from tests.half_login import begin_login

import tieline
import tieline.testing
from tieline.errors import LoginFailed
from tieline.limits import Limits
from tieline.login import gate
from tieline.services.files.digests import Digests
from tieline.wire.frames import Kind, frame
from tieline.wire.messages import Auth, encode


class Held:
    """Stands in for slow work: it has begun when `begun` is set, and takes until `over` is."""

    def __init__(self, work: Any) -> None:
        self.begun, self.over = threading.Event(), threading.Event()
        self._work = work

    def __call__(self, *args: Any) -> Any:
        self.begun.set()
        assert self.over.wait(30)
        return self._work(*args)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Held]:
    owner, name = request.param
    stand_in = Held(getattr(owner, name))
    monkeypatch.setattr(owner, name, staticmethod(stand_in) if isinstance(owner, type) else stand_in)
    yield stand_in
    stand_in.over.set()


async def others_are_served(server: tieline.Server, held: Held) -> None:
    async with asyncio.timeout(20):
        assert await asyncio.to_thread(held.begun.wait, 20)
        async with tieline.testing.connect(server, account="bob") as bob:
            assert await bob.call("echo.upper", text="still here") == "STILL HERE"
            assert not held.over.is_set()


@pytest.mark.parametrize("held", [(gate, "matches")], indirect=True)
async def test_while_a_password_is_hashed(held: Held) -> None:
    async with tieline.testing.server() as server:
        guess = asyncio.create_task(server.accounts.verify_password("ada", "wrong", "192.0.2.7"))
        await others_are_served(server, held)
        held.over.set()
        with pytest.raises(LoginFailed):
            await guess


@pytest.mark.parametrize("held", [(Digests, "_hash")], indirect=True)
async def test_while_a_file_is_hashed(held: Held, tmp_path: Any) -> None:
    made = tieline.Server(data=tmp_path / "data")
    async with (
        tieline.testing.server(made) as server,
        tieline.testing.connect(server, account="ada", scopes={"files.read"}) as ada,
    ):
        (tmp_path / "data" / "files" / "x").write_text("by hand")
        reading = await server.files.open(ada.identity, "/x")
        digest = asyncio.create_task(server.files.digest(reading))
        await others_are_served(server, held)
        held.over.set()
        await digest


async def test_a_login_that_is_begun_and_never_finished_is_cut_though_bytes_keep_coming() -> None:
    server = tieline.Server(limits=Limits(opening=0.4))
    async with server.serving("tcp://127.0.0.1:0") as [address]:
        reader, writer = await begin_login(int(address.rpartition(":")[2]))
        proof = frame(Kind.AUTH, 0, encode(Auth("SCRAM-SHA-256", bytes(200))))
        async with asyncio.timeout(20):
            for byte in proof:
                writer.write(bytes([byte]))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        if not await reader.read(1 << 16):
                            break
            else:
                raise AssertionError("it is listened to as long as it talks")
            while len(server.links):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        writer.close()
