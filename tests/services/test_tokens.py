"""tokens.* as callers see them."""

import pytest
from tests.services.files.conftest import House, house, settings  # noqa: F401  (a whole server)

from tieline.errors import Denied, NotFound
from tieline.services.tokens import ListedToken, NewToken


async def test_a_token_is_made_listed_and_revoked(house: House) -> None:  # noqa: F811
    ada = await house.login("ada")
    made = await ada.call("tokens.create", name="ci", can=["files.read"], expires=60, returns=NewToken)
    assert (made.name, made.scopes) == ("ci", ["files.read"])
    assert (await house.server.tokens.verify(made.token, "")).device == "token/ci"
    (listed,) = await ada.call("tokens.list", returns=list[ListedToken])
    assert (listed.name, listed.scopes, listed.device) == ("ci", ["files.read"], "laptop")
    assert listed.expires - listed.created == 60_000
    assert made.token not in repr(await ada.call("tokens.list"))
    await ada.call("tokens.revoke", name="ci")
    assert await ada.call("tokens.list") == []
    with pytest.raises(NotFound):
        await ada.call("tokens.revoke", name="ci")


async def test_only_admins_see_and_revoke_those_of_others(house: House) -> None:  # noqa: F811
    ada, bob, admin = await house.login("ada"), await house.login("bob"), await house.login("grace", "admin")
    await ada.call("tokens.create", name="ci")
    guest = await house.login("guest-eve", "chat", "files.read", guest=True)
    for peer in (bob, guest):
        for method, params in (("tokens.list", {}), ("tokens.revoke", {"name": "ci"})):
            with pytest.raises(Denied):
                await peer.call(method, account="ada", **params)
    with pytest.raises(Denied):
        await guest.call("tokens.list")
    with pytest.raises(Denied):
        await guest.call("tokens.create", name="x")
    assert [token["name"] for token in await admin.call("tokens.list", account="ada")] == ["ci"]
    await admin.call("tokens.revoke", account="ada", name="ci")
    assert await ada.call("tokens.list") == []
