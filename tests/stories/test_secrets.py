"""Whatever is used to log in is in no log, in no process's arguments, and in no database, however talkative the log."""

import asyncio
import logging
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

import tieline
from tieline.login.scram import make_verifier
from tieline.login.scram_bounds import PASSWORD_ITERATIONS
from tieline.wire.frames import PREFACE

from .conftest import Machines, Servers
from .machines import Machine, ServerProcess, login

PASSWORD = f"correct horse {secrets.token_hex(8)}"


@pytest.fixture
def own_log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Everything this process's clients log, asyncio's remarks included."""
    with caplog.at_level(logging.DEBUG):
        yield caplog


def command_lines() -> dict[int, bytes]:
    """The arguments of all processes of this user."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found[int(path.parent.name)] = path.read_bytes()
        except OSError:
            pass  # it has ended
    return found


def kept(server: ServerProcess) -> dict[str, bytes]:
    """The server's files, and its log."""
    files = [path for path in server.data.iterdir() if path.is_file()]
    return {path.name: path.read_bytes() for path in [*files, server.log]}


async def leave_early(server: ServerProcess) -> None:
    """Say hello and go, which is worth a line to a debug log."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(PREFACE)
    writer.close()
    await writer.wait_closed()


async def test_no_secret_is_in_a_log_a_database_or_a_process_list(
    servers: Servers, owner: Machine, machines: Machines, own_log: pytest.LogCaptureFixture
) -> None:
    server = servers("--log-level", "debug")
    await server.start()
    ada = machines("ada")
    ticket, unused = [(await owner.out("invite", name)).strip() for name in ("ada", "bob")]
    await ada.out("join", "-", stdin=ticket)
    profile = ada.profile()
    verifier = await asyncio.to_thread(make_verifier, PASSWORD, PASSWORD_ITERATIONS, secrets.token_bytes)
    reading = await ada.start("tail", "lobby", "-f")
    async with tieline.connect(**login(profile)) as by_key:
        await by_key.call("accounts.password", verifier=verifier)
        await by_key.call("chat.post", room="lobby", text="hello", id="1")
        async with tieline.connect(server.tcp, account="ada", password=PASSWORD) as by_password:
            assert by_password.identity.device == "password"
        wrong = [
            {"account": "ada", "password": PASSWORD + "?"},
            {"account": "nobody", "password": PASSWORD},
            {"account": "ada", "device": "other", "key": profile.key},
        ]
        for attempt in wrong:
            with pytest.raises(tieline.LoginFailed):
                async with tieline.connect(server.tcp, **attempt):
                    pass
        with pytest.raises(tieline.LoginFailed) as spent:
            async with tieline.connect(ticket):
                pass
        await leave_early(server)
        shown = [repr(by_key), repr(by_password), repr(profile), str(spent.value), repr(spent.value)]
        running = command_lines()
        while_running = kept(server)
    assert {server.pid, reading.pid} <= running.keys()
    assert await server.end() == 0
    texts = {
        **{f"process {pid}": arguments for pid, arguments in running.items()},
        **{f"{name}, while it runs": content for name, content in while_running.items()},
        **kept(server),
        "this process's log": own_log.text.encode(),
        "what is shown": " ".join(shown).encode(),
    }
    for said in (b" debug tieline.login: a caller left", b"wrong name or secret", b"logged in"):
        assert said in texts["server.log"]
    assert "tieline.db-wal, while it runs" in texts
    hidden = {
        "the ticket": ticket.partition("#")[2].partition("-")[2],
        "the unused ticket": unused.partition("#")[2].partition("-")[2],
        "the key": profile.key,
        "the password": PASSWORD,
    }
    assert all(len(secret) > 15 for secret in hidden.values())
    for what, secret in hidden.items():
        forms = [secret.encode(), *([bytes.fromhex(secret)] if what == "the key" else [])]
        found_in = [name for name, content in texts.items() if any(form in content for form in forms)]
        assert not found_in, what
