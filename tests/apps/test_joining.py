"""From a ticket to a profile, cut off at the worst moment: an enrolled key is never lost."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

import tieline
from tieline import profiles
from tieline.apps.cli.joining import PENDING, enrol
from tieline.errors import ConfigError, Conflict, LoginFailed
from tieline.login.accounts import Accounts

SECONDS = 30.0


@pytest.fixture
async def server(tmp_path: Path, config_folder: Path) -> AsyncIterator[tieline.Server]:
    server = tieline.Server(data=str(tmp_path / "data"))
    async with server.serving("127.0.0.1:0"):
        yield server


@pytest.fixture
def enrolled(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when the server has enrolled a device; while this is used, it never answers that it has."""
    done = asyncio.Event()
    whole = Accounts.enrol

    async def unanswered(self: Accounts, *arguments: object) -> object:
        device = await whole(self, *arguments)  # type: ignore[arg-type]
        done.set()
        await asyncio.Event().wait()
        return device

    monkeypatch.setattr(Accounts, "enrol", unanswered)
    return done


async def interrupted(ticket: str, enrolled: asyncio.Event) -> None:
    joining = asyncio.create_task(enrol(ticket, "laptop", "lab", SECONDS))
    waiting = asyncio.create_task(enrolled.wait())
    await asyncio.wait((joining, waiting), timeout=SECONDS, return_when=asyncio.FIRST_COMPLETED)
    assert waiting.done()
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining


async def test_an_interrupt_while_the_enrolment_is_on_its_way_loses_no_enrolled_key(
    server: tieline.Server, enrolled: asyncio.Event
) -> None:
    ticket = await server.invite("ada")
    await interrupted(ticket, enrolled)
    kept = profiles.read("lab" + PENDING)
    assert kept is not None
    again = await enrol(ticket, None, "lab", SECONDS)
    assert again == kept == profiles.read("lab")
    assert profiles.read("lab" + PENDING) is None


async def test_who_would_join_as_another_device_after_an_interrupt_is_told_what_it_is_already(
    server: tieline.Server, enrolled: asyncio.Event
) -> None:
    ticket = await server.invite("ada")
    await interrupted(ticket, enrolled)
    with pytest.raises(ConfigError, match="'laptop'"):
        await enrol(ticket, "phone", "lab", SECONDS)
    assert (await enrol(ticket, "laptop", "lab", SECONDS)).device == "laptop"


async def test_a_key_the_server_does_not_know_is_not_gone_on_with(server: tieline.Server) -> None:
    ticket = await server.invite("ada")
    made = await enrol(ticket, "laptop", "lab", SECONDS)
    unknown = replace(made, device="phone", key="a key that was never enrolled")
    profiles.write("lab" + PENDING, unknown)
    with pytest.raises(LoginFailed):
        await enrol(ticket, "phone", "lab", SECONDS)
    assert (await enrol(await server.invite("ada"), "phone", "lab", SECONDS)).key != unknown.key


async def test_a_refused_enrolment_leaves_no_key_behind(server: tieline.Server) -> None:
    await enrol(await server.invite("ada"), "laptop", "lab", SECONDS)
    with pytest.raises(Conflict):
        await enrol(await server.invite("ada"), "laptop", "attic", SECONDS)
    assert profiles.read("attic" + PENDING) is None
