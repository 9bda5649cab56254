"""Accounts, devices and tickets: each method is one transaction, and of two that race exactly one wins."""

import asyncio
from pathlib import Path

import msgspec
import pytest

from tieline.login.records import Account, Device, Enrolment, Ticket, Verifier
from tieline.store.sqlite import SqliteStore

PROOF = Verifier(b"salt", b"stored", b"server", 4096)
ADA = Account("ada", frozenset({"chat", "files.read"}), 100)
LAPTOP = Device("ada", "laptop", frozenset({"chat"}), PROOF, 110)
TICKET = Ticket("T1", "ada", frozenset({"chat"}), PROOF, 120, 1000)


@pytest.fixture
async def with_ada(either: SqliteStore) -> SqliteStore:
    await either.put_account(ADA)
    return either


async def test_what_is_put_comes_back_after_a_restart(tmp_path: Path) -> None:
    async with SqliteStore(tmp_path) as store:
        await store.put_account(ADA)
        assert await store.put_device(LAPTOP)
        assert await store.add_ticket(TICKET)
        assert await store.keep("cookie", b"first") == b"first"
    async with SqliteStore(tmp_path) as store:
        assert await store.account("ada") == ADA
        assert await store.device("ada", "laptop") == LAPTOP
        assert await store.devices("ada") == [LAPTOP]
        assert await store.ticket("T1") == TICKET
        assert await store.tickets("ada") == [TICKET]
        assert await store.keep("cookie", b"second") == b"first"


async def test_nobody_is_nowhere(either: SqliteStore) -> None:
    assert await either.account("eve") is None
    assert await either.device("eve", "laptop") is None
    assert await either.ticket("T9") is None
    assert not await either.put_device(msgspec.structs.replace(LAPTOP, account="eve"))
    assert not await either.add_ticket(msgspec.structs.replace(TICKET, account="eve"))
    assert not await either.revoke_account("eve", 1)
    assert not await either.revoke_device("eve", "laptop")
    assert not await either.revoke_ticket("T9")


async def test_accounts_are_listed_oldest_first(either: SqliteStore) -> None:
    for name, created in (("zoe", 1), ("bob", 3), ("ada", 3)):
        await either.put_account(Account(name, frozenset(), created))
    assert [account.name for account in await either.accounts()] == ["zoe", "ada", "bob"]


async def test_replacing_an_account_keeps_its_devices(with_ada: SqliteStore) -> None:
    await with_ada.put_device(LAPTOP)
    await with_ada.put_account(msgspec.structs.replace(ADA, scopes=frozenset({"admin"})))
    assert (await with_ada.account("ada")) == Account("ada", frozenset({"admin"}), 100)
    assert await with_ada.devices("ada") == [LAPTOP]


async def test_a_revoked_account_has_nothing_left_and_gets_nothing_new(with_ada: SqliteStore) -> None:
    await with_ada.put_device(LAPTOP)
    await with_ada.add_ticket(TICKET)
    assert await with_ada.revoke_account("ada", 500)
    assert not await with_ada.revoke_account("ada", 600)
    assert (await with_ada.account("ada")) == msgspec.structs.replace(ADA, revoked=500)
    assert await with_ada.devices("ada") == []
    assert await with_ada.tickets("ada") == []
    assert not await with_ada.put_device(LAPTOP)
    assert not await with_ada.add_ticket(TICKET)


async def test_of_two_that_race_for_a_ticket_one_wins(with_ada: SqliteStore) -> None:
    await with_ada.add_ticket(TICKET)
    other = msgspec.structs.replace(LAPTOP, name="phone")
    ends = await asyncio.gather(with_ada.enrol("T1", LAPTOP, 200), with_ada.enrol("T1", other, 200))
    assert ends == [Enrolment.DONE, Enrolment.TICKET_GONE]
    assert await with_ada.devices("ada") == [LAPTOP]
    assert await with_ada.ticket("T1") is None


@pytest.mark.parametrize(("ticket", "account", "now"), [("T9", "ada", 200), ("T1", "ada", 1000), ("T1", "bob", 200)])
async def test_a_ticket_that_is_not_good_enrols_nobody(
    with_ada: SqliteStore, ticket: str, account: str, now: int
) -> None:
    await with_ada.put_account(Account("bob", frozenset(), 1))
    await with_ada.add_ticket(TICKET)
    device = msgspec.structs.replace(LAPTOP, account=account)
    assert await with_ada.enrol(ticket, device, now) is Enrolment.TICKET_GONE
    assert await with_ada.devices(account) == []


async def test_a_name_that_is_taken_leaves_the_ticket_good(with_ada: SqliteStore) -> None:
    await with_ada.put_device(LAPTOP)
    await with_ada.add_ticket(TICKET)
    assert await with_ada.enrol("T1", LAPTOP, 200) is Enrolment.NAME_TAKEN
    assert await with_ada.ticket("T1") == TICKET
    assert await with_ada.revoke_ticket("T1")
    assert await with_ada.revoke_device("ada", "laptop")


async def test_expired_tickets_are_swept_by_new_ones(with_ada: SqliteStore) -> None:
    await with_ada.add_ticket(TICKET)
    await with_ada.add_ticket(Ticket("T2", "ada", frozenset(), PROOF, 2000, 3000))
    assert [ticket.id for ticket in await with_ada.tickets("ada")] == ["T2"]
