"""People with nothing but nc or `openssl s_client`, at a server over real sockets."""

import asyncio
import json
import re
import secrets
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import cast

import pytest

import tieline
from tieline.login.identity import Identity
from tieline.login.scram import make_verifier
from tieline.transports.address import parse

DEADLINE = 20.0
"Seconds after which a test has failed."
CHAT = frozenset({"chat"})
PASSWORD = "correct horse"

pytestmark = pytest.mark.requires("nc", "openssl")


class Terminal:
    """A program as a person uses it: lines typed in, words waited for."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.screen = b""

    def types(self, *lines: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())

    def types_no_more(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def sees(self, words: str) -> str:
        """Everything up to and with `words`; what was seen is not seen again."""
        wanted = words.encode()
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            while wanted not in self.screen:
                more = await self.process.stdout.read(65_536)
                assert more, f"it ended without {words!r}; the rest was {self.screen[-500:]!r}"
                self.screen += more
        end = self.screen.index(wanted) + len(wanted)
        seen, self.screen = self.screen[:end], self.screen[end:]
        return seen.decode()

    async def ends(self) -> str:
        """Everything until the server ends it. (nc waits for its own input to end as well.)"""
        self.types_no_more()
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            self.screen += await self.process.stdout.read()
            await self.process.wait()
        return self.screen.decode()


Call = Callable[..., Awaitable[Terminal]]


@pytest.fixture
async def server() -> AsyncIterator[tieline.Server]:
    """A server that takes guests, and knows ada by a password."""
    server = tieline.Server(":memory:", name="lab", guests=True, limits=tieline.Limits(drain=2.0))
    async with server.serving("tcp://127.0.0.1:0"):
        await server.invite("ada")
        verifier = await asyncio.to_thread(make_verifier, PASSWORD, 600_000, secrets.token_bytes)
        device = server.admit(Identity("ada", "laptop", CHAT))
        await device.call("accounts.password", verifier=verifier)
        await device.close()
        yield server


@pytest.fixture
async def call(server: tieline.Server) -> AsyncIterator[Call]:
    """Starts a program and gives its terminal; `{port}` in an argument is the server's."""
    port = str(parse(server.addresses[0]).port)
    async with AsyncExitStack() as stack:

        async def start(*arguments: str) -> Terminal:
            process = await asyncio.create_subprocess_exec(
                *(argument.replace("{port}", port) for argument in arguments),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
            )
            stack.push_async_callback(_end, process)
            return Terminal(process)

        yield start


async def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.kill()
    await process.communicate()


@pytest.fixture
def nc(call: Call) -> Callable[[], Awaitable[Terminal]]:
    return lambda: call("nc", "127.0.0.1", "{port}")


@pytest.fixture
def s_client(call: Call) -> Callable[[], Awaitable[Terminal]]:
    return lambda: call("openssl", "s_client", "-quiet", "-connect", "127.0.0.1:{port}")


@pytest.fixture
async def bob(server: tieline.Server) -> AsyncIterator[tieline.Peer]:
    """Somebody who came another way."""
    peer = server.admit(Identity("bob", "laptop", CHAT))
    yield peer
    await peer.close()


async def said(bob: tieline.Peer, room: str = "lobby") -> list[str]:
    history = await bob.call("chat.history", room=room)
    return [cast(str, message["text"]) for message in history["messages"]]


Program = Callable[[], Awaitable[Terminal]]


async def test_nc_openssl_and_a_program_talk_in_one_room(nc: Program, s_client: Program, bob: tieline.Peer) -> None:
    zoe, ada = await nc(), await s_client()
    await zoe.sees("name, or guest: ")  # without a key pressed
    await ada.sees("name, or guest: ")
    zoe.types("guest-zoe")
    await zoe.sees("* here: guest-zoe-")
    ada.types("ada")
    await ada.sees("password of ada (seen as you type it; none for a guest): ")
    ada.types(PASSWORD)
    await ada.sees("ada (you)")
    await zoe.sees("* ada joined\n")
    lobby = bob.subscribe("room/lobby")
    await lobby.open()
    zoe.types("hello from nc")
    assert re.search(r"^\d\d:\d\d guest-zoe-\w+: hello from nc$", await ada.sees("hello from nc\n"), re.MULTILINE)
    ada.types("hello from openssl")
    await zoe.sees(" ada: hello from openssl\n")
    await bob.call("chat.post", room="lobby", text="hello from Python", id="1")
    await zoe.sees(" bob: hello from Python\n")
    assert (await ada.sees(" bob: hello from Python\n")).count("openssl") == 0
    assert [(await anext(lobby)).value["text"] for _ in range(3)] == [
        "hello from nc",
        "hello from openssl",
        "hello from Python",
    ]
    zoe.types("/quit")
    await zoe.ends()
    assert await ada.sees("left\n")
    await lobby.aclose()


async def test_a_script_says_something_and_is_done_when_that_is_stored(call: Call, bob: tieline.Peer) -> None:
    script = await call("nc", "-N", "127.0.0.1", "{port}")
    asked = '{"jsonrpc":"2.0","id":1,"method":"echo.upper","params":{"text":"done"}}'
    script.types("guest-cron", "the build is green", asked)
    assert script.process.stdin is not None
    script.process.stdin.write(b"and that is all")
    answers = [line for line in (await script.ends()).splitlines() if line.startswith("{")]
    assert [json.loads(answer)["result"] for answer in answers] == ["DONE"]
    assert await said(bob) == ["the build is green", "and that is all"]


async def test_what_was_typed_before_tls_ended_is_said_too(call: Call, bob: tieline.Peer) -> None:
    script = await call("openssl", "s_client", "-quiet", "-no_ign_eof", "-connect", "127.0.0.1:{port}")
    script.types("guest-cron", "one", "two")
    await script.ends()
    async with asyncio.timeout(DEADLINE):
        while await said(bob) != ["one", "two"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_who_vanishes_has_left_the_room(nc: Program, bob: tieline.Peer) -> None:
    zoe, tom = await nc(), await nc()
    zoe.types("guest-zoe")
    tom.types("guest-tom")
    await zoe.sees("(you)")
    await tom.sees("(you)")
    zoe.process.kill()
    assert re.search(r"\* guest-zoe-\w+ left\n", await tom.sees("left\n"))
    here = await bob.call("chat.who", room="lobby")
    assert [name.rpartition("-")[0] for name in here["here"]] == ["guest-tom"]


async def test_whose_terminal_stands_still_misses_nothing(nc: Program, bob: tieline.Peer) -> None:
    zoe = await nc()
    zoe.types("guest-zoe")
    await zoe.sees("(you)")
    zoe.process.send_signal(signal.SIGSTOP)
    for begin in range(0, 20_000, 200):
        await asyncio.gather(
            *(
                bob.call("chat.post", room="lobby", text=f"{number} {'x' * 1000}", id=str(number))
                for number in range(begin, begin + 200)
            )
        )
    zoe.process.send_signal(signal.SIGCONT)
    seen = await zoe.sees(f"bob: 19999 {'x' * 1000}\n")
    assert [int(number) for number in re.findall(r"bob: (\d+) x", seen)] == list(range(20_000))


async def test_a_form_that_a_browser_sends_is_never_taken_for_a_persons_lines(
    call: Call, nc: Program, bob: tieline.Peer
) -> None:
    body = "guest\nhello\n"
    form = f"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    for program in (
        ("nc", "-N", "127.0.0.1", "{port}"),
        ("openssl", "s_client", "-quiet", "-connect", "127.0.0.1:{port}"),
        ("openssl", "s_client", "-quiet", "-alpn", "http/1.1", "-connect", "127.0.0.1:{port}"),
    ):
        browser = await call(*program)
        browser.types(form)
        assert "you are in lobby" not in await browser.ends()
    late = await nc()
    await late.sees("name, or guest: ")  # the lines door has it now
    late.types(form)
    assert "not HTTP" in await late.ends()
    assert await said(bob) == []


async def test_a_wrong_password_is_refused_and_the_third_ends_it(s_client: Program) -> None:
    eve = await s_client()
    for name in ("ada", "nobody", "ada"):
        eve.types(name, "wrong")
    seen = await eve.ends()
    assert seen.count("login refused: wrong name or secret.") == 3
    assert "3 wrong logins; call again." in seen


async def test_whose_account_is_revoked_is_told_and_cut(nc: Program, server: tieline.Server) -> None:
    ada = await nc()
    ada.types("ada", PASSWORD)
    await ada.sees("ada (you)")
    owner = server.admit(Identity("owner", "local", frozenset({"admin"})))
    assert await owner.call("accounts.revoke", account="ada") == 1
    assert "revoked" in await ada.ends()
    await owner.close()


async def test_a_server_that_closes_says_so_to_everybody(call: Call) -> None:
    server = tieline.Server(":memory:", guests=True)
    async with server.serving("tcp://127.0.0.1:0") as addresses:
        port = str(parse(addresses[0]).port)
        zoe, stranger = await call("nc", "127.0.0.1", port), await call("nc", "127.0.0.1", port)
        zoe.types("guest-zoe")
        await zoe.sees("(you)")
        await stranger.sees("name, or guest: ")
    assert "* the server is closing" in await zoe.ends()
    await stranger.ends()


async def test_status_shows_who_came_by_the_door(nc: Program, server: tieline.Server) -> None:
    zoe = await nc()
    zoe.types("guest-zoe")
    await zoe.sees("(you)")
    async with tieline.connect(server.addresses[0], account="ada", password=PASSWORD) as ada:
        (mine,) = (await ada.call("server.status"))["links"]
        assert mine["transport"] == "tcp"
        assert 0 < mine["rtt"] < 1
    owner = server.admit(Identity("owner", "local", frozenset({"admin"})))
    links = {link["transport"]: link for link in (await owner.call("server.status"))["links"]}
    assert links["lines"]["account"].startswith("guest-zoe-")
    assert links["lines"]["remote"] == "127.0.0.1"
    await owner.close()
