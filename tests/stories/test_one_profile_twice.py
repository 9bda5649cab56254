"""One person at two programs of one machine, and at another device: all hear everything, until one is revoked."""

import asyncio
import re

from .conftest import Machines
from .machines import DEADLINE, Machine, ServerProcess, line

SAID = 40


async def heard(chat: asyncio.subprocess.Process, count: int) -> list[str]:
    """The next so many messages, without their times."""
    texts: list[str] = []
    while len(texts) < count:
        if found := re.fullmatch(r"\d\d:\d\d ada: (.+)\n", await line(chat)):
            texts.append(found[1])
    return texts


async def test_two_programs_of_one_device_and_another_device_talk_until_the_one_is_revoked(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    ada = machines("ada")
    for device in ("laptop", "phone"):
        await ada.out("join", (await owner.out("invite", "ada")).strip(), "--device", device, "--profile", device)
    chats = {
        name: await ada.start("chat", "lobby", "--profile", device)
        for name, device in (("one", "laptop"), ("two", "laptop"), ("far", "phone"))
    }
    for chat in chats.values():
        assert "you are in lobby" in await line(chat)

    def types(name: str, text: str) -> None:
        keyboard = chats[name].stdin
        assert keyboard is not None
        keyboard.write(f"{text}\n".encode())

    for number in range(SAID):
        for name in chats:
            types(name, f"{name} {number}")
    one, two, far = await asyncio.gather(*(heard(chat, 3 * SAID) for chat in chats.values()))
    assert one == two == far
    for name in chats:
        assert [text for text in one if text.startswith(name)] == [f"{name} {number}" for number in range(SAID)]

    await owner.out("revoke", "ada/laptop")
    for name in ("one", "two"):  # their keyboards are still there
        async with asyncio.timeout(DEADLINE):
            assert await chats[name].wait() == 4
        assert chats[name].stderr is not None
        assert b"login refused" in await chats[name].stderr.read()
    types("far", "still here")
    assert await heard(chats["far"], 1) == ["still here"]
