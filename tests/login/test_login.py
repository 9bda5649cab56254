"""Logging in, and everything that must not be a login: both step machines against each other and against liars."""

import base64
from collections.abc import Iterator

import msgspec
import pytest

from tieline.errors import LoginFailed, TooManyAttempts
from tieline.login import scram
from tieline.login.accounts import Accounts
from tieline.login.client import ClientLogin
from tieline.login.credential import PLAIN, PLUS, Credential, new_key
from tieline.login.records import Verifier
from tieline.login.scram import ServerSide
from tieline.login.scram_bounds import MESSAGE
from tieline.store.sqlite import SqliteStore

from .conftest import BINDING, Clock, joined, log_in, secret_of, server_login, verifier_of

KEY = "0" * 64


def counting(n: int) -> bytes:
    return bytes(range(n))


class FakeServer:
    """Answers the first step with whatever it is told to."""

    @staticmethod
    def first(
        client_first: bytes, *, rounds: object = 4096, salt: bytes = bytes(16), nonce: str | None = None
    ) -> bytes:
        theirs = client_first.decode().rpartition("r=")[2]
        return (
            f"r={theirs + 'server' if nonce is None else nonce},s={base64.b64encode(salt).decode()},i={rounds}".encode()
        )


@pytest.fixture
def no_hashing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever hashes before it looks at the number of rounds fails here instead of burning half an hour."""

    def refuse(*_: object) -> None:
        raise AssertionError("hashed before checking")

    monkeypatch.setattr("tieline.login.scram_client.pbkdf2_hmac", refuse)
    return


async def test_a_device_logs_in_over_tls_and_both_sides_are_proven(accounts: Accounts) -> None:
    credential = await joined(accounts)
    identity = await log_in(accounts, credential)
    assert (identity.account, identity.device, identity.scopes) == ("ada", "laptop", {"chat"})
    assert (identity.via, identity.address, identity.guest) == ("native", "192.0.2.1", False)


@pytest.mark.parametrize("kind", ["tcp", "unix", "memory"])
async def test_a_device_logs_in_without_tls_where_plain_is_served(accounts: Accounts, kind: str) -> None:
    credential = await joined(accounts)
    assert (await log_in(accounts, credential, kind)).account == "ada"


@pytest.mark.parametrize("name", ["zoë", "李雷", "דוד", "a" * 64, "李" * 64])
async def test_names_of_every_script_log_in(accounts: Accounts, name: str) -> None:
    credential = await joined(accounts, name, "laptop.ward-3")
    assert (await log_in(accounts, credential)).account == name


async def test_a_wrong_key_is_refused(accounts: Accounts) -> None:
    await joined(accounts)
    with pytest.raises(LoginFailed) as caught:
        await log_in(accounts, Credential.key("ada", "laptop", KEY))
    assert KEY not in str(caught.value)


async def test_an_unknown_user_looks_like_a_wrong_key(accounts: Accounts) -> None:
    await joined(accounts)
    seen = []
    for account, device in (("ada", "laptop"), ("ada", "phone"), ("nobody", "laptop")):
        server = server_login(accounts)
        client = ClientLogin(Credential.key(account, device, KEY), BINDING, counting)
        first, _ = await server.step(*client.first(server.mechanisms))
        assert first is not None
        with pytest.raises(LoginFailed) as caught:
            await server.step(PLUS, await client.step(first) or b"")
        seen.append((len(first), first.rpartition(b"i=")[2], str(caught.value), type(caught.value)))
    assert len(set(seen)) == 1


async def test_an_unknown_users_password_asks_for_as_many_rounds_as_a_real_one(accounts: Accounts) -> None:
    server = server_login(accounts)
    first, _ = await server.step(*ClientLogin(Credential.password("nobody", "x"), BINDING).first(server.mechanisms))
    assert first is not None
    assert first.endswith(b",i=600000")


async def test_an_unknown_user_has_the_same_salt_each_time_and_after_a_restart(
    accounts: Accounts, store: object
) -> None:
    salts = set()
    for server_of in (accounts, accounts, Accounts(store)):
        server = server_login(server_of)
        first, _ = await server.step(*ClientLogin(Credential.key("nobody", "x", KEY), BINDING).first((PLUS,)))
        assert first is not None
        salts.add(first.decode().split(",")[1])
    assert len(salts) == 1


@pytest.mark.parametrize("user", ["ada", "ada/laptop/x", "/laptop", "ada/", "%61da/laptop", "../x", "ticket", "-/-"])
async def test_what_cannot_be_a_user_is_treated_as_one_that_is_not_there(accounts: Accounts, user: str) -> None:
    key = (await joined(accounts)).secret
    with pytest.raises(LoginFailed) as caught:
        await log_in(accounts, Credential("SCRAM", user, key))
    assert str(caught.value) == str(LoginFailed())


async def test_a_revoked_device_and_a_revoked_account_are_refused(accounts: Accounts) -> None:
    laptop = await joined(accounts)
    phone = await joined(accounts, device="phone")
    await accounts.revoke("ada", "laptop")
    with pytest.raises(LoginFailed):
        await log_in(accounts, laptop)
    assert (await log_in(accounts, phone)).device == "phone"
    await accounts.revoke("ada")
    with pytest.raises(LoginFailed):
        await log_in(accounts, phone)


async def test_a_device_revoked_in_the_middle_of_its_login_does_not_get_in(accounts: Accounts) -> None:
    credential = await joined(accounts)
    server, client = server_login(accounts), ClientLogin(credential, BINDING)
    first, _ = await server.step(*client.first(server.mechanisms))
    proof = await client.step(first or b"")
    await accounts.revoke("ada", "laptop")
    with pytest.raises(LoginFailed):
        await server.step(PLUS, proof or b"")


async def test_a_device_replaced_in_the_middle_of_its_login_does_not_get_in(
    accounts: Accounts, store: SqliteStore
) -> None:
    credential = await joined(accounts)
    server, client = server_login(accounts), ClientLogin(credential, BINDING)
    first, _ = await server.step(*client.first(server.mechanisms))
    proof = await client.step(first or b"")
    old = await store.device("ada", "laptop")
    assert old is not None
    await store.put_device(msgspec.structs.replace(old, verifier=verifier_of("another key")))
    with pytest.raises(LoginFailed):
        await server.step(PLUS, proof or b"")


async def test_a_revocation_that_lands_while_the_last_look_is_under_way_is_seen(
    accounts: Accounts, monkeypatch: pytest.MonkeyPatch
) -> None:
    credential = await joined(accounts)
    server, client = server_login(accounts), ClientLogin(credential, BINDING)
    first, _ = await server.step(*client.first(server.mechanisms))
    proof = await client.step(first or b"")
    look = accounts.gate._find
    looks = 0

    async def slow_look(user: str) -> object:
        nonlocal looks
        found = await look(user)
        looks += 1
        if looks == 1:  # what was read is already old when it arrives
            await accounts.revoke("ada", "laptop")
        return found

    monkeypatch.setattr(accounts.gate, "_find", slow_look)
    with pytest.raises(LoginFailed):
        await server.step(PLUS, proof or b"")
    assert looks == 2


# -- whoever is in between ---------------------------------------------------------------------------------------------


async def test_a_login_relayed_through_another_certificate_is_refused(accounts: Accounts) -> None:
    credential = await joined(accounts)
    with pytest.raises(LoginFailed):
        await log_in(accounts, credential, binding=b"\x22" * 32)


async def test_the_client_sends_nothing_when_the_bound_mechanism_is_left_out_of_the_offer() -> None:
    client = ClientLogin(Credential.key("ada", "laptop", KEY), BINDING)
    with pytest.raises(LoginFailed, match="in between"):
        client.first((PLAIN,))


@pytest.mark.parametrize("flag", ["y,,", "n,,", "p=tls-unique,,", "p=tls-exporter,,", "n,a=eve,", ",,", ""])
async def test_over_tls_no_flag_talks_the_binding_away(accounts: Accounts, flag: str) -> None:
    await joined(accounts)
    with pytest.raises(LoginFailed):
        await server_login(accounts).step(PLUS, f"{flag}n=ada/laptop,r=nonce".encode())


async def test_over_tls_the_unbound_mechanism_is_not_offered_and_not_taken(accounts: Accounts) -> None:
    server = server_login(accounts)
    assert server.mechanisms == (PLUS,)
    with pytest.raises(LoginFailed, match="not offered"):
        await server.step(PLAIN, b"n,,n=ada/laptop,r=nonce")


async def test_without_tls_the_bound_mechanism_is_not_there(accounts: Accounts) -> None:
    server = server_login(accounts, "tcp")
    assert server.mechanisms == (PLAIN,)
    with pytest.raises(LoginFailed):
        await server.step(PLAIN, b"p=tls-server-end-point,,n=ada/laptop,r=nonce")


async def test_tls_without_a_known_certificate_offers_no_login_with_a_secret(accounts: Accounts) -> None:
    assert server_login(accounts, "tls", None).mechanisms == ()


async def test_a_recorded_login_cannot_be_replayed(accounts: Accounts) -> None:
    credential = await joined(accounts)
    server, client = server_login(accounts), ClientLogin(credential, BINDING)
    recorded = client.first(server.mechanisms)
    first, _ = await server.step(*recorded)
    proof = await client.step(first or b"")
    assert proof is not None
    await server.step(PLUS, proof)

    again = server_login(accounts)
    await again.step(*recorded)
    with pytest.raises(LoginFailed):
        await again.step(PLUS, proof)


async def test_a_proof_for_another_account_is_no_proof(accounts: Accounts) -> None:
    await joined(accounts)
    eve = await joined(accounts, "eve")
    server, client = server_login(accounts), ClientLogin(eve, BINDING, counting)
    _, data = client.first(server.mechanisms)
    first, _ = await server.step(PLUS, data.replace(b"n=eve/", b"n=ada/"))
    with pytest.raises(LoginFailed):
        await server.step(PLUS, await client.step(first or b"") or b"")


# -- servers that lie --------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("no_hashing")
@pytest.mark.parametrize("rounds", [0, 1, 4095, 1_000_001, 10**9, 10**30, -1, "04096", "4e3", "٤٠٩٦", ""])
async def test_a_fake_server_cannot_choose_the_rounds(rounds: object) -> None:
    client = ClientLogin(Credential.key("ada", "laptop", KEY), BINDING)
    _, data = client.first((PLUS,))
    with pytest.raises(LoginFailed):
        await client.step(FakeServer.first(data, rounds=rounds))


@pytest.mark.usefixtures("no_hashing")
async def test_a_fake_server_cannot_have_a_password_hashed_cheaply() -> None:
    client = ClientLogin(Credential.password("ada", "correct horse"), BINDING)
    _, data = client.first((PLUS,))
    with pytest.raises(LoginFailed, match="4,096"):
        await client.step(FakeServer.first(data, rounds=4096))


@pytest.mark.parametrize("nonce", ["", "other", "{mine}", "x{mine}"])
async def test_a_reflected_or_foreign_nonce_is_refused(nonce: str) -> None:
    client = ClientLogin(Credential.key("ada", "laptop", KEY), BINDING)
    _, data = client.first((PLUS,))
    mine = data.decode().rpartition("r=")[2]
    with pytest.raises(LoginFailed):
        await client.step(FakeServer.first(data, nonce=nonce.format(mine=mine)))


async def test_a_server_that_does_not_know_the_secret_is_not_believed() -> None:
    client = ClientLogin(Credential.key("ada", "laptop", KEY), BINDING)
    _, data = client.first((PLUS,))
    await client.step(FakeServer.first(data))
    with pytest.raises(LoginFailed, match="could not prove"):
        await client.step(b"v=" + base64.b64encode(bytes(32)))
    assert not client.proven


async def test_a_server_that_skips_its_proof_is_not_believed() -> None:
    client = ClientLogin(Credential.key("ada", "laptop", KEY), BINDING)
    _, data = client.first((PLUS,))
    await client.step(FakeServer.first(data))
    assert not client.proven
    with pytest.raises(LoginFailed):
        await client.step(b"")


async def test_a_client_step_where_none_belongs_is_refused() -> None:
    for credential in (Credential.guest(), Credential.local()):
        client = ClientLogin(credential, None)
        client.first(("EXTERNAL", "ANONYMOUS"))
        with pytest.raises(LoginFailed):
            await client.step(b"r=1,s=1,i=1")


# -- callers that lie --------------------------------------------------------------------------------------------------


async def test_a_proof_before_the_first_step_is_refused(accounts: Accounts) -> None:
    with pytest.raises(LoginFailed):
        await server_login(accounts).step(PLUS, b"c=biws,r=nonce,p=" + base64.b64encode(bytes(32)))


async def test_a_repeated_first_step_is_refused_and_ends_the_login(accounts: Accounts) -> None:
    server, client = server_login(accounts), ClientLogin(Credential.key("ada", "laptop", KEY), BINDING)
    first = client.first(server.mechanisms)
    await server.step(*first)
    with pytest.raises(LoginFailed):
        await server.step(*first)
    with pytest.raises(LoginFailed, match="over"):
        await server.step(*first)


async def test_a_step_after_the_login_is_refused(accounts: Accounts) -> None:
    server = server_login(accounts, guests=frozenset({"chat"}))
    assert (await server.step("ANONYMOUS", b""))[1] is not None
    with pytest.raises(LoginFailed, match="over"):
        await server.step("ANONYMOUS", b"")


async def test_a_mechanism_changed_halfway_is_refused(accounts: Accounts) -> None:
    server = server_login(accounts, guests=frozenset({"chat"}))
    await server.step(*ClientLogin(Credential.key("ada", "laptop", KEY), BINDING).first(server.mechanisms))
    with pytest.raises(LoginFailed):
        await server.step("ANONYMOUS", b"")


async def test_a_step_sent_ahead_of_the_answer_is_refused(accounts: Accounts) -> None:
    server = server_login(accounts)
    under_way = server.step(*ClientLogin(Credential.key("ada", "laptop", KEY), BINDING).first(server.mechanisms))
    under_way.send(None)  # it waits for the store now
    with pytest.raises(LoginFailed, match="not answered yet"):
        await server.step(PLUS, b"c=biws,r=x,p=AAAA")
    under_way.close()


async def test_oversize_messages_are_refused_unread(accounts: Accounts) -> None:
    huge = b"p=tls-server-end-point,,n=ada/laptop,r=" + b"x" * MESSAGE
    with pytest.raises(LoginFailed, match="limit"):
        await server_login(accounts).step(PLUS, huge)
    client = ClientLogin(Credential.key("ada", "laptop", KEY), BINDING)
    client.first((PLUS,))
    with pytest.raises(LoginFailed, match="limit"):
        await client.step(huge)


async def test_every_truncation_of_a_proof_is_refused(accounts: Accounts) -> None:
    credential = await joined(accounts)
    verifier = verifier_of(credential.secret)
    for size in range(0, 400, 7):
        server, client = ServerSide(BINDING, counting), ClientLogin(credential, BINDING, counting)
        _, data = client.first((PLUS,))
        proof = await client.step(server.first(data, verifier)) or b""
        if size < len(proof):
            with pytest.raises(LoginFailed):
                server.final(proof[:size])


# -- other ways in -----------------------------------------------------------------------------------------------------


async def test_the_servers_own_user_is_its_admin_with_no_password(accounts: Accounts) -> None:
    await accounts.create_owner("grace")
    identity = await log_in(accounts, Credential.local(), "unix", address="", uid_is_ours=True)
    assert (identity.account, identity.via, identity.may("shell")) == ("grace", "unix", True)


async def test_the_servers_own_user_may_come_as_an_account_that_exists(accounts: Accounts) -> None:
    await joined(accounts)
    identity = await log_in(accounts, Credential.local("ada"), "unix", address="", uid_is_ours=True)
    assert (identity.account, identity.may("admin")) == ("ada", False)
    with pytest.raises(LoginFailed, match="no account"):
        await log_in(accounts, Credential.local("bob"), "unix", address="", uid_is_ours=True)


@pytest.mark.parametrize(("kind", "ours"), [("unix", False), ("tcp", True), ("tls", True)])
async def test_nobody_else_comes_in_as_the_servers_user(accounts: Accounts, kind: str, ours: bool) -> None:
    server = server_login(accounts, kind, uid_is_ours=ours)
    assert "EXTERNAL" not in server.mechanisms
    with pytest.raises(LoginFailed):
        await server.step("EXTERNAL", b"")


async def test_guests_come_in_only_where_they_are_welcome(accounts: Accounts) -> None:
    identity = await log_in(accounts, Credential.guest("bob"), guests=frozenset({"chat"}))
    assert identity.account.startswith("guest-bob-")
    assert identity.guest
    assert identity.scopes == {"chat"}
    with pytest.raises(LoginFailed, match="no guests"):
        await log_in(accounts, Credential.guest("bob"))


async def test_two_guests_of_one_name_are_two_people(accounts: Accounts) -> None:
    names = {(await log_in(accounts, Credential.guest("bob"), guests=frozenset())).account for _ in range(2)}
    assert len(names) == 2


@pytest.mark.parametrize("wish", ["guest-x", "a/b", "@ada", "x\x1b]52;", "X" * 2000, "\ud800"])
async def test_a_guests_name_is_checked_like_any_other(accounts: Accounts, wish: str) -> None:
    server = server_login(accounts, guests=frozenset({"chat"}))
    with pytest.raises(LoginFailed):
        await server.step("ANONYMOUS", wish.encode("utf-8", "surrogatepass"))


async def test_the_longest_guest_name_still_fits(accounts: Accounts) -> None:
    identity = await log_in(accounts, Credential.guest("b" * 64), guests=frozenset())
    assert len(identity.account) == 64


# -- guessing ----------------------------------------------------------------------------------------------------------


async def guess(accounts: Accounts, times: int, *, address: str = "203.0.113.9", account: str = "ada") -> None:
    for _ in range(times):
        with pytest.raises((LoginFailed, TooManyAttempts)):
            await log_in(accounts, Credential.key(account, "laptop", KEY), address=address)


async def test_guessing_costs_time_and_the_guesser_is_told_how_much(accounts: Accounts, clock: Clock) -> None:
    credential = await joined(accounts)
    await guess(accounts, 30)
    with pytest.raises(TooManyAttempts) as caught:
        await log_in(accounts, credential, address="203.0.113.9")
    assert caught.value.retry_after > 0
    clock.now += 600
    assert (await log_in(accounts, credential, address="203.0.113.9")).account == "ada"


async def test_a_user_seen_here_before_is_not_kept_out_by_guessers_elsewhere(accounts: Accounts) -> None:
    credential = await joined(accounts)
    await log_in(accounts, credential)
    for number in range(60):
        await guess(accounts, 1, address=f"203.0.113.{number}")
    assert (await log_in(accounts, credential)).account == "ada"


async def test_logins_begun_side_by_side_are_not_guesses_free_of_charge(accounts: Accounts) -> None:
    await joined(accounts)
    begun = []
    for _ in range(40):
        server, client = server_login(accounts), ClientLogin(Credential.key("ada", "laptop", KEY), BINDING)
        first, _ = await server.step(*client.first(server.mechanisms))
        begun.append((server, await client.step(first or b"") or b""))
    errors = []
    for server, proof in begun:
        with pytest.raises((LoginFailed, TooManyAttempts)) as caught:
            await server.step(PLUS, proof)
        errors.append(type(caught.value))
    assert errors.count(LoginFailed) < 15
    assert errors[-1] is TooManyAttempts


# -- what is shown -----------------------------------------------------------------------------------------------------


async def test_no_secret_is_in_any_repr(accounts: Accounts, store: object) -> None:
    ticket = await accounts.invite("ada")
    key = new_key()
    verifier = verifier_of(key)
    held = [
        Credential.key("ada", "laptop", key),
        Credential.ticket(secret_of(ticket)),
        ClientLogin(Credential.key("ada", "laptop", key), BINDING),
        server_login(accounts),
        verifier,
        await accounts.list(),
    ]
    shown = repr(held)
    for secret in (key, secret_of(ticket), repr(verifier.stored_key), repr(verifier.server_key), repr(verifier.salt)):
        assert secret not in shown


def test_a_verifier_is_not_enough_to_log_in() -> None:
    verifier = verifier_of(KEY)
    assert not scram.matches(verifier, verifier.stored_key.hex())
    assert scram.matches(verifier, KEY)
    assert not scram.matches(Verifier(verifier.salt, b"", b"", 4096), "\x00")
