"""The life of an account: invited, enrolled, given a password, allowed more or less, revoked."""

import asyncio

import pytest

from tieline.errors import (
    Conflict,
    Denied,
    InvalidArgument,
    LoginError,
    LoginFailed,
    NotFound,
    TooManyAttempts,
)
from tieline.login import gate
from tieline.login.accounts import Accounts, check_verifier
from tieline.login.credential import Credential, new_key
from tieline.login.identity import Identity
from tieline.login.names import NoAccount
from tieline.login.records import Verifier
from tieline.login.scram import make_verifier, matches
from tieline.login.scram_bounds import KEY_ITERATIONS, PASSWORD_ITERATIONS
from tieline.store.sqlite import SqliteStore
from tieline.transports.address import parse

from .conftest import Clock, joined, log_in, secret_of, verifier_of


async def ticket_login(accounts: Accounts, ticket: str) -> Identity:
    return await log_in(accounts, Credential.ticket(secret_of(ticket)))


def password_verifier(password: str) -> Verifier:
    return make_verifier(password, PASSWORD_ITERATIONS, lambda n: bytes(n))


async def test_the_first_account_owns_the_server(accounts: Accounts) -> None:
    assert await accounts.owner() is None
    await accounts.create_owner("grace")
    assert await accounts.owner() == "grace"
    with pytest.raises(Conflict, match="grace"):
        await accounts.create_owner("eve")


async def test_a_ticket_is_an_address_that_holds_everything_to_join_with(accounts: Accounts) -> None:
    pin = "ab" * 32
    address = parse(await accounts.invite("zoë", ["chat"], 60.0, "lab.example:7788", pin))
    assert (address.scheme, address.where, address.account, address.pin) == (
        "tieline",
        "lab.example:7788",
        "zoë",
        pin,
    )
    identity = await log_in(accounts, Credential.ticket(address.secret))
    assert identity.account == "zoë"


async def test_who_comes_with_a_ticket_may_enrol_and_nothing_else(accounts: Accounts) -> None:
    identity = await ticket_login(accounts, await accounts.invite("ada", ["admin"]))
    assert identity.scopes == {"enrol"}
    assert identity.may("enrol")
    assert not any(identity.may(scope) for scope in (None, "chat", "shell", "admin"))


async def test_a_ticket_works_once(accounts: Accounts) -> None:
    ticket = await accounts.invite("ada")
    first, second = await ticket_login(accounts, ticket), await ticket_login(accounts, ticket)
    await accounts.enrol(first, "laptop", verifier_of(new_key()))
    with pytest.raises(Denied, match="used"):
        await accounts.enrol(second, "phone", verifier_of(new_key()))
    with pytest.raises(LoginFailed):
        await ticket_login(accounts, ticket)


async def test_of_many_who_race_with_one_ticket_exactly_one_wins(accounts: Accounts, store: SqliteStore) -> None:
    ticket = await accounts.invite("ada")
    identity = await ticket_login(accounts, ticket)
    tries = [accounts.enrol(identity, f"device{n}", verifier_of(new_key())) for n in range(8)]
    results = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert all(isinstance(result, Denied) for result in results if isinstance(result, Exception))
    assert len(await store.devices("ada")) == 1


async def test_an_expired_ticket_opens_nothing(accounts: Accounts, clock: Clock) -> None:
    ticket = await accounts.invite("ada", lifetime=60.0)
    identity = await ticket_login(accounts, ticket)
    clock.now += 61
    with pytest.raises(LoginFailed):
        await ticket_login(accounts, ticket)
    with pytest.raises(Denied, match="expired"):
        await accounts.enrol(identity, "laptop", verifier_of(new_key()))


async def test_a_ticket_taken_back_opens_nothing(accounts: Accounts) -> None:
    ticket = await accounts.invite("ada")
    identity = await ticket_login(accounts, ticket)
    assert await accounts.revoke_ticket(secret_of(ticket).partition("-")[0]) == "ada"
    with pytest.raises(LoginFailed):
        await ticket_login(accounts, ticket)
    with pytest.raises(Denied):
        await accounts.enrol(identity, "laptop", verifier_of(new_key()))
    with pytest.raises(NotFound):
        await accounts.revoke_ticket("nosuch")


async def test_revoking_an_account_takes_its_open_tickets_too(accounts: Accounts) -> None:
    ticket = await accounts.invite("ada")
    await accounts.revoke("ada")
    with pytest.raises(LoginFailed):
        await ticket_login(accounts, ticket)


async def test_a_device_name_taken_leaves_the_ticket_good_for_another(accounts: Accounts) -> None:
    old = await joined(accounts)
    identity = await ticket_login(accounts, await accounts.invite("ada"))
    with pytest.raises(Conflict, match="laptop"):
        await accounts.enrol(identity, "laptop", verifier_of(new_key()))
    await accounts.enrol(identity, "phone", verifier_of(new_key()))
    assert (await log_in(accounts, old)).device == "laptop"


async def test_a_device_cannot_enrol_another(accounts: Accounts) -> None:
    identity = await log_in(accounts, await joined(accounts, scopes=["admin"]))
    with pytest.raises(Denied, match="ticket"):
        await accounts.enrol(identity, "phone", verifier_of(new_key()))


async def test_a_second_device_may_do_less_but_not_more_than_its_account(accounts: Accounts) -> None:
    await joined(accounts, scopes=["chat", "files"])
    phone = await joined(accounts, device="phone", scopes=["files.read"])
    assert (await log_in(accounts, phone)).scopes == {"files.read"}
    with pytest.raises(Conflict, match=r"`tieline allow ada --can chat,.*shell`"):
        await accounts.invite("ada", ["shell"])


async def test_what_an_account_may_no_longer_its_devices_may_no_longer(accounts: Accounts) -> None:
    laptop = await joined(accounts, scopes=["chat", "files"])
    await accounts.allow("ada", ["chat"])
    assert (await log_in(accounts, laptop)).scopes == {"chat"}
    await accounts.allow("ada", ["chat", "files", "shell"])
    assert (await log_in(accounts, laptop)).scopes == {"chat", "files.read", "files.write"}


async def test_a_password_logs_in_natively_and_at_a_door(accounts: Accounts) -> None:
    identity = await log_in(accounts, await joined(accounts))
    await accounts.set_password(identity, password_verifier("correct horse"))
    assert (await log_in(accounts, Credential.password("ada", "correct horse"))).device == "password"
    by_door = await accounts.verify_password("ada", "correct horse", "127.0.0.1")
    assert (by_door.account, by_door.device, by_door.via) == ("ada", "password", "lines")


async def test_a_door_takes_a_devices_key_and_a_ticket_as_well(accounts: Accounts) -> None:
    laptop = await joined(accounts)
    assert (await accounts.verify_password("ada/laptop", laptop.secret, "", "http")).device == "laptop"
    secret = secret_of(await accounts.invite("bob"))
    assert (await accounts.verify_password(Credential.ticket(secret).user, secret, "")).scopes == {"enrol"}


@pytest.mark.parametrize("name", ["ada", "nobody", "ada/nope", "ticket/aaaa", "", "a\x00b", "guest-x"])
async def test_a_door_refuses_a_wrong_password_and_a_wrong_name_alike(accounts: Accounts, name: str) -> None:
    await joined(accounts)
    with pytest.raises(LoginFailed) as caught:
        await accounts.verify_password(name, "wrong", "192.0.2.7")
    assert str(caught.value) == str(LoginFailed())


async def test_a_door_works_as_hard_for_a_name_that_is_not_there(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the time an answer takes tells nothing."""
    identity = await log_in(accounts, await joined(accounts))
    await accounts.set_password(identity, password_verifier("correct horse"))
    rounds: list[int] = []

    def counting(verifier: Verifier, secret: str) -> bool:
        rounds.append(verifier.iterations)
        return matches(verifier, secret)

    monkeypatch.setattr(gate, "matches", counting)
    for name in ("ada", "nobody", "ada/laptop", "ada/phone", "nobody/laptop"):
        with pytest.raises(LoginFailed):
            await accounts.verify_password(name, "wrong", "192.0.2.7")
    assert rounds == [PASSWORD_ITERATIONS] * 2 + [KEY_ITERATIONS] * 3


async def test_for_a_guesser_who_must_wait_nothing_is_hashed(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashed: list[str] = []
    monkeypatch.setattr(gate, "matches", lambda verifier, secret: bool(hashed.append(secret)))
    refused: list[type[Exception]] = []
    for _ in range(50):
        with pytest.raises(LoginError) as caught:
            await accounts.verify_password("ada", "wrong", "192.0.2.7")
        refused.append(caught.type)
    assert refused.count(TooManyAttempts) > 30
    assert len(hashed) == refused.count(LoginFailed)


@pytest.mark.parametrize("password", ["\x00", "\ud800", "\U0001fae8", "א1"])
async def test_a_password_that_cannot_be_one_is_just_wrong(accounts: Accounts, password: str) -> None:
    await joined(accounts)
    with pytest.raises(LoginFailed):
        await accounts.verify_password("ada/laptop", password, "192.0.2.7")
    with pytest.raises(InvalidArgument, match="character"):
        make_verifier(password, 4096, lambda n: bytes(n))


async def test_a_password_may_do_what_the_device_that_set_it_may(accounts: Accounts) -> None:
    await joined(accounts, scopes=["chat", "shell"])
    phone = await log_in(accounts, await joined(accounts, device="phone", scopes=["chat"]))
    await accounts.set_password(phone, password_verifier("correct horse"))
    assert (await accounts.verify_password("ada", "correct horse", "")).scopes == {"chat"}


async def test_guests_and_ticket_holders_set_no_password(accounts: Accounts) -> None:
    ticket = await ticket_login(accounts, await accounts.invite("ada"))
    guest = await accounts.guest("bob", frozenset({"chat"}), "")
    for identity in (ticket, guest):
        with pytest.raises(Denied):
            await accounts.set_password(identity, password_verifier("x"))


async def test_the_last_admin_cannot_be_removed(accounts: Accounts) -> None:
    await accounts.create_owner("grace")
    with pytest.raises(Conflict, match="last"):
        await accounts.revoke("grace")
    with pytest.raises(Conflict, match="last"):
        await accounts.allow("grace", ["chat"])
    await accounts.invite("ada", ["admin"])
    await accounts.revoke("grace")
    assert await accounts.owner() == "ada"


async def test_a_revoked_account_can_be_invited_again_but_old_devices_stay_out(accounts: Accounts) -> None:
    laptop = await joined(accounts, scopes=["shell"])
    await accounts.revoke("ada")
    again = await joined(accounts)
    assert (await log_in(accounts, again)).scopes == {"chat"}
    with pytest.raises(LoginFailed):
        await log_in(accounts, laptop)


async def test_what_is_not_there_cannot_be_revoked(accounts: Accounts) -> None:
    await accounts.invite("ada")
    for account, device in (("bob", None), ("ada", "phone")):
        with pytest.raises(NotFound):
            await accounts.revoke(account, device)
    with pytest.raises(NoAccount, match=r"'bob'.*`tieline invite` makes one"):
        await accounts.allow("bob", ["chat"])


async def test_the_list_shows_accounts_devices_and_good_tickets(accounts: Accounts, clock: Clock) -> None:
    await joined(accounts)
    await accounts.invite("ada", lifetime=10)
    clock.now += 11
    await accounts.invite("bob")
    ada, bob = await accounts.list()
    assert ([device.name for device in ada[1]], ada[2]) == (["laptop"], [])
    assert (bob[0].name, len(bob[2])) == ("bob", 1)


@pytest.mark.parametrize("lifetime", [0, -1, 31 * 86400.0, float("nan"), float("inf")])
async def test_a_ticket_lives_for_a_sane_time(accounts: Accounts, lifetime: float) -> None:
    with pytest.raises(InvalidArgument):
        await accounts.invite("ada", lifetime=lifetime)


@pytest.mark.parametrize("scopes", [["enrol"], ["root"], ["chat", ""], ["ADMIN"]])
async def test_only_known_scopes_are_given(accounts: Accounts, scopes: list[str]) -> None:
    with pytest.raises(InvalidArgument, match="scopes are"):
        await accounts.invite("ada", scopes)


def test_a_verifier_that_would_stand_out_is_refused() -> None:
    good = verifier_of("key")
    check_verifier("laptop", good)
    for device, verifier in (
        ("password", good),
        ("laptop", Verifier(good.salt, good.stored_key, good.server_key, 5000)),
        ("laptop", Verifier(b"short", good.stored_key, good.server_key, 4096)),
        ("laptop", Verifier(good.salt, b"", good.server_key, 4096)),
    ):
        with pytest.raises(InvalidArgument):
            check_verifier(device, verifier)
