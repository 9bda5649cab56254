"""Access tokens: what they may, how they end, and that guessing one costs time."""

from collections.abc import AsyncIterator

import pytest

from tieline.errors import Conflict, Denied, InvalidArgument, LoginFailed, NotFound, TooManyAttempts
from tieline.login import tokens as module
from tieline.login.accounts import Accounts
from tieline.login.identity import ENROL, Identity
from tieline.login.penalties import BLOCK, USER
from tieline.login.tokens import LONGEST_LIFETIME, PREFIX, Token, Tokens
from tieline.store.sqlite import SqliteStore

FILES = frozenset({"files.read", "files.write"})
ADA = Identity("ada", "laptop", FILES | {"chat"})
HERE = "192.0.2.1"


class House:
    def __init__(self, store: SqliteStore) -> None:
        self.now = 1_795_000_000.0
        self.store = store
        self.accounts = Accounts(store, lambda: self.now)
        self.tokens = Tokens(store, self.accounts.gate, lambda: self.now)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with SqliteStore(":memory:") as store:
        house = House(store)
        await house.accounts.create_owner("grace")
        for name in ("ada", "bob"):
            await house.accounts.invite(name, ["chat", "files"])
        yield house


async def test_a_token_says_who_shows_it_and_what_it_may(house: House) -> None:
    token, text = await house.tokens.create(ADA, "ci", ["files.read"])
    assert text.startswith(PREFIX)
    assert await house.tokens.verify(text, HERE) == Identity("ada", "token/ci", frozenset({"files.read"}), "http", HERE)
    assert text not in repr(token)
    assert text.encode() not in token.hash + repr(token).encode()
    kept = await house.store._read(lambda db: repr(db.execute("SELECT * FROM tokens").fetchall()))
    assert text.partition("-")[2].partition("-")[2] not in kept, "what is stored opens nothing"


async def test_without_saying_what_for_it_is_for_files_as_far_as_its_maker_may(house: House) -> None:
    assert (await house.tokens.create(ADA, "a"))[0].scopes == FILES
    reader = Identity("ada", "laptop", frozenset({"files.read", "chat"}))
    assert (await house.tokens.create(reader, "b"))[0].scopes == {"files.read"}
    with pytest.raises(Denied):
        await house.tokens.create(Identity("ada", "laptop", frozenset({"chat"})), "c")
    owner = Identity("grace", "local", frozenset({"admin"}))
    assert (await house.tokens.create(owner, "d"))[0].scopes == FILES


async def test_nobody_makes_a_token_that_may_more_or_lives_longer(house: House) -> None:
    for scopes in (["admin"], ["shell"], ["files", "shell"]):
        with pytest.raises(Denied, match="cannot do more"):
            await house.tokens.create(ADA, "x", scopes)
    for wrong in ([], ["everything"]):
        with pytest.raises(InvalidArgument):
            await house.tokens.create(ADA, "x", wrong)
    for lifetime in (0, -1, LONGEST_LIFETIME + 1, float("nan")):
        with pytest.raises(InvalidArgument):
            await house.tokens.create(ADA, "x", None, lifetime)
    for name in ("a/b", "-x", "x" * 65, "a b"):
        with pytest.raises(InvalidArgument):
            await house.tokens.create(ADA, name)


async def test_only_an_accounts_own_devices_make_tokens(house: House) -> None:
    _, text = await house.tokens.create(ADA, "ci")
    shown = await house.tokens.verify(text, HERE)
    guest = Identity("guest-eve", "guest", FILES, guest=True)
    ticket = Identity("ada", "ticket/x", frozenset({ENROL}))
    for identity in (shown, guest, ticket):
        with pytest.raises(Denied):
            await house.tokens.create(identity, "more")
    with pytest.raises(NotFound):
        await house.tokens.create(Identity("nobody", "laptop", FILES), "x")


async def test_names_are_unique_while_they_are_good(house: House) -> None:
    first, _ = await house.tokens.create(ADA, "ci", lifetime=10)
    with pytest.raises(Conflict, match="has a token 'ci' already"):
        await house.tokens.create(ADA, "ci")
    await house.tokens.create(Identity("bob", "laptop", FILES), "ci")
    unnamed, _ = await house.tokens.create(ADA, "")
    assert unnamed.name == unnamed.id
    house.now += 11
    again, _ = await house.tokens.create(ADA, "ci")
    assert again.id != first.id


async def test_an_account_has_only_so_many(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 3)
    for number in range(3):
        await house.tokens.create(ADA, f"t{number}", lifetime=10)
    with pytest.raises(Conflict, match="no account may have more"):
        await house.tokens.create(ADA, "t3")
    house.now += 11
    await house.tokens.create(ADA, "t3")


async def test_a_token_ends_by_itself(house: House) -> None:
    _, text = await house.tokens.create(ADA, "ci", lifetime=60)
    house.now += 59
    identity = await house.tokens.verify(text, HERE)
    assert await house.tokens.still(text, identity)
    house.now += 1
    assert not await house.tokens.still(text, identity)
    with pytest.raises(LoginFailed, match="has expired or was revoked"):
        await house.tokens.verify(text, HERE)
    assert await house.tokens.list("ada") == []


@pytest.mark.parametrize("way", ["token", "account", "device", "password"])
async def test_a_token_ends_with_whatever_it_hangs_on(house: House, way: str) -> None:
    device = "password" if way == "password" else "laptop"
    _, text = await house.tokens.create(Identity("ada", device, FILES), "ci")
    _, other = await house.tokens.create(Identity("ada", "phone", FILES), "other")
    identity = await house.tokens.verify(text, HERE)
    if way == "token":
        await house.tokens.revoke("ada", "ci")
    elif way == "account":
        await house.accounts.revoke("ada")
    elif way == "device":
        await house.store.revoke_device("ada", "laptop")
    else:
        from tieline.login.records import Verifier
        from tieline.login.scram import SALT
        from tieline.login.scram_bounds import PASSWORD_ITERATIONS

        fresh = Verifier(bytes(SALT), bytes(32), bytes(32), PASSWORD_ITERATIONS)
        await house.accounts.set_password(Identity("ada", "phone", FILES), fresh)
    assert not await house.tokens.still(text, identity)
    with pytest.raises(LoginFailed):
        await house.tokens.verify(text, HERE)
    if way != "account":
        assert (await house.tokens.verify(other, HERE)).device == "token/other"


async def test_an_account_that_is_invited_anew_does_not_get_its_tokens_back(house: House) -> None:
    _, text = await house.tokens.create(ADA, "ci")
    await house.accounts.revoke("ada")
    await house.accounts.invite("ada", ["files"])
    with pytest.raises(LoginFailed):
        await house.tokens.verify(text, HERE)


async def test_a_token_may_less_when_its_account_may_less(house: House) -> None:
    _, text = await house.tokens.create(ADA, "ci")
    before = await house.tokens.verify(text, HERE)
    await house.accounts.allow("ada", ["files.read"])
    assert (await house.tokens.verify(text, HERE)).scopes == {"files.read"}
    assert not await house.tokens.still(text, before)


async def test_a_token_that_was_made_again_under_the_same_name_is_another(house: House) -> None:
    _, text = await house.tokens.create(ADA, "ci", ["files.read", "files.write"])
    identity = await house.tokens.verify(text, HERE)
    await house.tokens.revoke("ada", "ci")
    await house.tokens.create(ADA, "ci", ["files.read", "files.write"])
    assert not await house.tokens.still(text, identity)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        PREFIX,
        PREFIX + "abc",
        PREFIX + "-",
        PREFIX + "a-b-c",
        PREFIX + "ä-ö",
        PREFIX + "x" * 5000,
        "Bearer",
        "\ud800",
        PREFIX + "a\0-b",
    ],
    ids=ascii,
)
async def test_what_cannot_be_a_token_is_refused_like_a_wrong_one(house: House, text: str) -> None:
    with pytest.raises(LoginFailed):
        await house.tokens.verify(text, HERE)


async def test_a_right_id_with_a_wrong_secret_is_refused(house: House) -> None:
    _, text = await house.tokens.create(ADA, "ci")
    with pytest.raises(LoginFailed):
        await house.tokens.verify(text[:-1] + ("a" if text[-1] != "a" else "b"), HERE)
    await house.tokens.verify(text, HERE)


async def guess(house: House, address: str) -> None:
    """Until one is made to wait."""
    for number in range(BLOCK.free + USER.free):
        with pytest.raises(LoginFailed):
            await house.tokens.verify(f"{PREFIX}abcdefgh-{number}", address)


async def test_guessing_costs_time(house: House) -> None:
    with pytest.raises(TooManyAttempts):
        await guess(house, HERE)


async def test_one_who_guesses_does_not_keep_others_out(house: House) -> None:
    _, text = await house.tokens.create(ADA, "ci")
    with pytest.raises(TooManyAttempts):
        await guess(house, "198.51.100.7")
    assert await house.tokens.verify(text, HERE)


async def test_tokens_are_listed_and_missed_by_name(house: House) -> None:
    await house.tokens.create(ADA, "b")
    await house.tokens.create(ADA, "a")
    assert [token.name for token in await house.tokens.list("ada")] == ["a", "b"]
    with pytest.raises(NotFound):
        await house.tokens.revoke("ada", "c")
    with pytest.raises(NotFound):
        await house.tokens.revoke("bob", "a")


def test_a_tokens_repr_shows_no_hash() -> None:
    assert repr(Token("i", "ada", "ci", "laptop", FILES, b"hash", 1, 2)) == "<Token ada/ci>"
