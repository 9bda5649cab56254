"""accounts.* as callers see them, through a peer over a link in memory."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from tieline.errors import CallError, Denied, InvalidArgument, LinkClosed, LoginFailed, NotFound
from tieline.limits import DEFAULT
from tieline.login.accounts import Accounts
from tieline.login.credential import new_key
from tieline.login.identity import Identity
from tieline.login.records import Account, Verifier
from tieline.login.scram import make_verifier
from tieline.login.scram_bounds import KEY_ITERATIONS, PASSWORD_ITERATIONS
from tieline.rpc.handlers import Handlers
from tieline.rpc.links import Links
from tieline.rpc.peer import Peer
from tieline.rpc.reception import Reception
from tieline.services import accounts as service
from tieline.store.sqlite import SqliteStore

ADMIN = Identity("grace", "laptop", frozenset({"admin"}))
ADA = Identity("ada", "laptop", frozenset({"chat"}))
GUEST = Identity("guest-bob", "guest", frozenset({"chat"}), guest=True)

Come = Callable[[Identity], Peer]


def verifier(secret: str, rounds: int = KEY_ITERATIONS) -> Verifier:
    return make_verifier(secret, rounds, lambda n: bytes(n))


@pytest.fixture
async def store() -> AsyncIterator[SqliteStore]:
    async with SqliteStore(":memory:") as store:
        yield store


@pytest.fixture
async def accounts(store: SqliteStore) -> Accounts:
    accounts = Accounts(store)
    await accounts.create_owner("grace")
    await accounts.invite("ada", ["chat", "files"])
    return accounts


@pytest.fixture
async def come(accounts: Accounts) -> AsyncIterator[Come]:
    """Comes in as an identity, past the login."""
    handlers, links = Handlers(), Links()

    async def invite(account: str, *, can: list[str] | None, expires: float) -> str:
        return await accounts.invite(account, can, expires, "lab:7788", "ab" * 32)

    def nobody_logs_in(_: object) -> None:
        raise AssertionError

    service.install(handlers, accounts, links.cut, invite)
    reception = Reception(DEFAULT, handlers, links, nobody_logs_in, name="lab", binding=None)  # type: ignore[arg-type]
    yield reception.door
    await links.drain("the test is over", 1.0)
    await asyncio.sleep(0)


async def with_ticket(accounts: Accounts, ticket: str) -> Identity:
    secret = ticket.partition("#")[2]
    return await accounts.verify_password(f"ticket/{secret.partition('-')[0]}", secret, "")


async def test_whoami_says_what_the_server_thinks(come: Come) -> None:
    me = await come(ADA).call("accounts.whoami", returns=service.Self)
    assert me == service.Self("ada", "laptop", ["chat"], "native", False)


async def test_an_admin_invites_and_the_invited_enrols_and_logs_in(come: Come, accounts: Accounts) -> None:
    ticket = await come(ADMIN).call("accounts.invite", account="bob", can=["chat", "files.read"])
    assert ticket.startswith("tieline://lab:7788/bob?pin=abab")
    key = new_key()
    newcomer = come(await with_ticket(accounts, ticket))
    enrolled = await newcomer.call("accounts.enrol", returns=service.Enrolled, device="laptop", verifier=verifier(key))
    assert enrolled == service.Enrolled("bob", "laptop", ["chat", "files.read"])
    assert (await accounts.verify_password("bob/laptop", key, "")).account == "bob"


async def test_without_saying_what_for_an_invitation_is_for_all_the_account_may(come: Come, accounts: Accounts) -> None:
    ticket = await come(ADMIN).call("accounts.invite", account="ada")
    newcomer = come(await with_ticket(accounts, ticket))
    enrolled = await newcomer.call("accounts.enrol", returns=service.Enrolled, device="pc", verifier=verifier("k"))
    assert enrolled.scopes == ["chat", "files.read", "files.write"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("accounts.invite", {"account": "eve"}),
        ("accounts.list", {}),
        ("accounts.allow", {"account": "ada", "can": ["admin"]}),
        ("accounts.revoke", {"account": "grace"}),
        ("accounts.enrol", {"device": "x", "verifier": verifier("k")}),
    ],
)
async def test_who_is_no_admin_changes_nothing(come: Come, method: str, params: dict[str, object]) -> None:
    for identity in (ADA, GUEST):
        with pytest.raises(Denied):
            await come(identity).call(method, **params)


@pytest.mark.parametrize("method", ["accounts.whoami", "accounts.list", "accounts.invite", "accounts.password"])
async def test_a_ticket_opens_one_method_and_no_other(come: Come, accounts: Accounts, method: str) -> None:
    newcomer = come(await with_ticket(accounts, await accounts.invite("grace", ["admin"])))
    with pytest.raises(Denied):
        await newcomer.call(method)


async def test_an_admin_is_no_ticket(come: Come) -> None:
    with pytest.raises(Denied, match="ticket"):
        await come(ADMIN).call("accounts.enrol", device="x", verifier=verifier("k"))


async def test_the_list_shows_who_there_is_and_nothing_that_opens_anything(come: Come, accounts: Accounts) -> None:
    ticket = await accounts.invite("ada")
    listed = await come(ADMIN).call("accounts.list", returns=list[service.ListedAccount])
    tickets = {entry.account: [ticket.id for ticket in entry.tickets] for entry in listed}
    assert tickets.keys() == {"grace", "ada"}
    assert ticket.partition("#")[2].partition("-")[0] in tickets["ada"]
    assert ticket.partition("-")[2] not in repr(await come(ADMIN).call("accounts.list"))


async def test_ten_thousand_accounts_are_listed_in_pages_oldest_first(
    come: Come, accounts: Accounts, store: SqliteStore
) -> None:
    names = [f"person-{number:05}-{'x' * 40}" for number in reversed(range(10_000))]
    for at, name in enumerate(names):
        writing = store.put_account(Account(name, frozenset({"chat"}), 10**13 + at))
        await writing
    found: list[str] = []
    pages = 0
    while page := await come(ADMIN).call(
        "accounts.list", after=found[-1] if found else "", returns=list[service.ListedAccount]
    ):
        found += [each.account for each in page]
        pages += 1
    assert {*found[:2]} == {"ada", "grace"}
    assert found[2:] == names
    assert 1 < pages < 100
    with pytest.raises(NotFound, match="no account 'nobody'"):
        await come(ADMIN).call("accounts.list", after="nobody")


async def test_the_log_says_who_changed_what_and_no_secret(
    come: Come, accounts: Accounts, caplog: pytest.LogCaptureFixture
) -> None:
    admin = come(ADMIN)
    with caplog.at_level("INFO", logger="tieline.accounts"):
        ticket = await admin.call("accounts.invite", account="eve", can=["chat", "files"])
        newcomer = await with_ticket(accounts, ticket)
        await come(newcomer).call("accounts.enrol", device="desk", verifier=verifier("k"))
        await admin.call("accounts.allow", account="eve", can=["chat"])
        await admin.call("accounts.revoke", account="eve", device="desk")
        other = await admin.call("accounts.invite", account="eve")
        await admin.call("accounts.revoke", ticket=(await with_ticket(accounts, other)).device.partition("/")[2])
        await admin.call("accounts.revoke", account="eve")
    tickets = [text.partition("#")[2].partition("-")[0] for text in (ticket, other)]
    assert caplog.messages == [
        "grace/laptop invited eve for chat, files",
        f"eve/desk joined, by ticket/{tickets[0]}",
        "grace/laptop allowed eve chat",
        "grace/laptop revoked eve/desk",
        "grace/laptop invited eve",
        f"grace/laptop revoked ticket/{tickets[1]} of eve",
        "grace/laptop revoked eve",
    ]


async def test_revoking_a_device_ends_its_links_and_no_others(come: Come, accounts: Accounts) -> None:
    newcomer = await with_ticket(accounts, await accounts.invite("ada"))
    await accounts.enrol(newcomer, "laptop", verifier("k"))
    laptop, phone = come(ADA), come(Identity("ada", "phone", frozenset({"chat"})))
    ended = await come(ADMIN).call("accounts.revoke", account="ada", device="laptop")
    assert ended == 1
    with pytest.raises(LinkClosed):
        await laptop.call("accounts.whoami")
    assert (await phone.call("accounts.whoami"))["device"] == "phone"


async def test_revoking_an_account_ends_all_its_links(come: Come) -> None:
    peers = [come(ADA), come(Identity("ada", "phone", frozenset({"chat"})))]
    assert await come(ADMIN).call("accounts.revoke", account="ada") == 2
    for peer in peers:
        with pytest.raises(LinkClosed):
            await peer.call("accounts.whoami")


async def test_taking_a_right_away_ends_the_links_that_had_it(come: Come) -> None:
    peer = come(ADA)
    assert await come(ADMIN).call("accounts.allow", account="ada", can=["files"]) == ["files.read", "files.write"]
    with pytest.raises(LinkClosed):
        await peer.call("accounts.whoami")


async def test_taking_a_ticket_back_ends_who_is_in_with_it(come: Come, accounts: Accounts) -> None:
    identity = await with_ticket(accounts, await accounts.invite("ada"))
    newcomer = come(identity)
    assert await come(ADMIN).call("accounts.revoke", ticket=identity.device.removeprefix("ticket/")) == 1
    with pytest.raises(LinkClosed):
        await newcomer.call("accounts.enrol", device="x", verifier=verifier("k"))


async def test_revoking_what_is_not_there_says_so(come: Come) -> None:
    admin = come(ADMIN)
    for params in ({"account": "bob"}, {"account": "ada", "device": "x"}, {"ticket": "x"}):
        with pytest.raises(NotFound):
            await admin.call("accounts.revoke", **params)
    for params in ({}, {"account": "ada", "ticket": "x"}):
        with pytest.raises(InvalidArgument):
            await admin.call("accounts.revoke", **params)


async def add_device(accounts: Accounts, account: str, device: str) -> None:
    await accounts.enrol(await with_ticket(accounts, await accounts.invite(account)), device, verifier("k"))


async def test_a_device_of_ones_own_is_revoked_without_an_admin(come: Come, accounts: Accounts) -> None:
    await add_device(accounts, "ada", "phone")
    phone, laptop = come(Identity("ada", "phone", frozenset({"chat"}))), come(ADA)
    assert await laptop.call("accounts.revoke", device="phone") == 1
    with pytest.raises(LinkClosed):
        await phone.call("accounts.whoami")
    with pytest.raises(LoginFailed):
        await accounts.verify_password("ada/phone", "k", "")
    with pytest.raises(NotFound):
        await laptop.call("accounts.revoke", account="ada", device="phone")


async def test_who_revokes_the_device_he_is_at_is_answered_and_then_out(come: Come, accounts: Accounts) -> None:
    await add_device(accounts, "ada", "laptop")
    laptop, ended = come(ADA), asyncio.Event()
    laptop.on_end(lambda _: ended.set())
    assert await laptop.call("accounts.revoke", device="laptop") is None
    async with asyncio.timeout(5):
        await ended.wait()


@pytest.mark.parametrize(
    "params",
    [
        {"account": "grace", "device": "laptop"},
        {"account": "ada"},
        {"account": "ada", "device": "phone", "ticket": "x"},
        {"ticket": "x"},
        {"device": "phone", "ticket": "x"},
        {},
    ],
)
async def test_who_is_no_admin_revokes_nothing_but_devices_of_his_own(
    come: Come, accounts: Accounts, params: dict[str, str]
) -> None:
    for account, device in (("grace", "laptop"), ("ada", "phone")):
        await add_device(accounts, account, device)
    with pytest.raises((Denied, InvalidArgument)):
        await come(ADA).call("accounts.revoke", **params)
    with pytest.raises(Denied):
        await come(GUEST).call("accounts.revoke", device="guest")
    with pytest.raises(Denied):
        await come(await with_ticket(accounts, await accounts.invite("ada"))).call("accounts.revoke", device="phone")
    assert {device.name for _, devices, _ in await accounts.list() for device in devices} == {"laptop", "phone"}
    assert len([account for account, _, _ in await accounts.list() if account.revoked is None]) == 2


async def test_changing_the_password_answers_and_then_ends_who_came_by_the_old(
    come: Come, accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "ANSWERED", 0.01)
    browser = come(Identity("ada", "password", frozenset({"chat"}), "http"))
    laptop = come(ADA)
    ended = asyncio.Event()
    browser.on_end(lambda _: ended.set())
    await browser.call("accounts.password", verifier=verifier("correct horse", PASSWORD_ITERATIONS))
    async with asyncio.timeout(5):
        await ended.wait()
    assert laptop.is_open
    assert (await accounts.verify_password("ada", "correct horse", "")).scopes == {"chat"}


async def test_a_cheaply_hashed_password_is_refused(come: Come) -> None:
    with pytest.raises(InvalidArgument, match="600000"):
        await come(ADA).call("accounts.password", verifier=verifier("correct horse"))


async def test_guests_have_no_password(come: Come) -> None:
    with pytest.raises(Denied):
        await come(GUEST).call("accounts.password", verifier=verifier("x", PASSWORD_ITERATIONS))


@pytest.mark.parametrize("wrong", [None, [], [b"", b"", b"", -1], ["x", 1, 2, 3], {"salt": b""}, [b"x" * 99999] * 3])
async def test_what_is_no_verifier_is_named_and_not_shown(come: Come, wrong: object) -> None:
    with pytest.raises(InvalidArgument) as caught:
        await come(ADA).call("accounts.password", verifier=wrong)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("name", ["", "-rf", "a/b", "x" * 100, "\x1b[2J", "Ada", "guest-x", "ticket"])
async def test_no_account_gets_a_name_that_is_none(come: Come, name: str) -> None:
    with pytest.raises(InvalidArgument):
        await come(ADMIN).call("accounts.invite", account=name)


async def test_an_unknown_scope_is_named(come: Come) -> None:
    with pytest.raises(CallError, match="'root'"):
        await come(ADMIN).call("accounts.invite", account="bob", can=["root"])
