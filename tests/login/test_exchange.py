"""The login as it goes over a link: both sides' steps in frames, in memory."""

import asyncio

import pytest

from tieline.errors import LoginError, LoginFailed, TooManyAttempts
from tieline.limits import DEFAULT
from tieline.link.frame_link import FrameLink
from tieline.login.accounts import Accounts
from tieline.login.client import ClientLogin
from tieline.login.credential import Credential
from tieline.login.exchange import Turns, admit, enter
from tieline.login.identity import Identity
from tieline.transports import memory
from tieline.wire.messages import Welcome
from tieline.wire.session import Side

from .conftest import joined, server_login


class Liar:
    """A server that says welcome at once, with `data` as its proof."""

    mechanisms = ("SCRAM-SHA-256",)

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def step(self, mechanism: str, data: bytes) -> tuple[bytes, Identity]:
        nonce = data.rpartition(b"r=")[2]
        return self.data.replace(b"NONCE", nonce), Identity("ada", "laptop", frozenset())


async def over_a_link(server: object, credential: Credential) -> tuple[object, object]:
    """What came of it: the server's identity or error, the client's welcome or error."""
    turns = Turns(), Turns()
    near, far = FrameLink(Side.CLIENT, DEFAULT, turns[0]), FrameLink(Side.SERVER, DEFAULT, turns[1])
    memory.pair(near, far, limits=DEFAULT)
    came = asyncio.gather(
        admit(far, turns[1], lambda _: server, agent="test", name="lab", limits=DEFAULT),  # type: ignore[arg-type]
        enter(near, turns[0], ClientLogin(credential, None), agent="test", limits=DEFAULT),
        return_exceptions=True,
    )
    async with asyncio.timeout(10):
        server_side, client_side = await came
    for link in (near, far):
        link.close("the test is over")
        await asyncio.sleep(0)
    return server_side, client_side


async def test_both_sides_agree_on_who_logged_in(accounts: Accounts) -> None:
    credential = await joined(accounts)
    identity, welcome = await over_a_link(server_login(accounts, "memory"), credential)
    assert isinstance(identity, Identity)
    assert isinstance(welcome, Welcome)
    assert (identity.account, identity.via) == ("ada", "memory")
    assert (welcome.account, welcome.device, welcome.scopes) == ("ada", "laptop", ("chat",))


async def test_a_guest_is_welcomed_in_one_step(accounts: Accounts) -> None:
    server = server_login(accounts, "memory", guests=frozenset({"chat"}))
    _, welcome = await over_a_link(server, Credential.guest("bob"))
    assert isinstance(welcome, Welcome)
    assert welcome.account.startswith("guest-bob-")


async def test_the_refused_are_told_so_and_not_why(accounts: Accounts) -> None:
    await joined(accounts)
    said = []
    for user in ("ada", "nobody"):
        _, error = await over_a_link(server_login(accounts, "memory"), Credential.key(user, "laptop", "wrong"))
        assert isinstance(error, LoginFailed)
        said.append(str(error))
    assert said == [str(LoginFailed())] * 2


async def test_the_guesser_is_told_how_long_to_wait(accounts: Accounts) -> None:
    errors = []
    for _ in range(13):
        server = server_login(accounts, "memory")
        errors.append((await over_a_link(server, Credential.key("ada", "laptop", "wrong")))[1])
    assert isinstance(errors[-1], TooManyAttempts)
    assert errors[-1].retry_after > 0


@pytest.mark.parametrize("data", [b"", b"r=NONCEx,s=AAAAAAAAAAAAAAAAAAAAAA==,i=4096", b"v=AAAA", b"e=other-error"])
async def test_a_server_that_welcomes_without_proof_is_not_believed(data: bytes) -> None:
    _, error = await over_a_link(Liar(data), Credential.key("ada", "laptop", "a key"))
    assert isinstance(error, LoginError)
