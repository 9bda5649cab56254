"""Keys for sealed datagrams, handed out over a link and ended with it."""

import asyncio

import pytest

import tieline
from tieline.services import datagram
from tieline.wire.keyring import Keyring
from tieline.wire.sealed import Key

from .conftest import House


@pytest.fixture
def keys(house: House) -> Keyring:
    keys = Keyring()
    datagram.install(house.handlers, keys, lambda: "udp://lab:7788")
    return keys


async def test_who_is_logged_in_gets_a_key_of_his_own(house: House, keys: Keyring) -> None:
    ada, bob = house.login("ada"), house.login("bob")
    hers, his = await ada.call("datagram.key", returns=Key), await bob.call("datagram.key", returns=Key)
    assert hers.address == "udp://lab:7788"
    assert len(hers.secret) == 32
    assert hers.id != his.id
    assert hers.secret != his.secret
    assert keys.owner(hers).account == "ada"


async def test_it_ends_with_the_link(house: House, keys: Keyring) -> None:
    ada = house.login("ada")
    key = await ada.call("datagram.key", returns=Key)
    await ada.call("datagram.key")
    assert len(keys) == 2
    house.links.cut("ada", None)
    async with asyncio.timeout(5):
        while len(keys):  # noqa: ASYNC110
            await asyncio.sleep(0)
    assert keys.find(key.id) is None


async def test_it_can_be_ended_before(house: House, keys: Keyring) -> None:
    ada, bob = house.login("ada"), house.login("bob")
    key = await ada.call("datagram.key", returns=Key)
    with pytest.raises(tieline.NotFound, match="no such key"):
        await bob.call("datagram.revoke", id=key.id)
    await ada.call("datagram.revoke", id=key.id)
    assert len(keys) == 0
    with pytest.raises(tieline.NotFound):
        await ada.call("datagram.revoke", id=key.id)


async def test_one_link_has_so_many_and_no_more(house: House, keys: Keyring) -> None:
    ada = house.login("ada")
    first = await ada.call("datagram.key", returns=Key)
    for _ in range(datagram.MOST):
        await ada.call("datagram.key")
    assert len(keys) == datagram.MOST
    assert keys.find(first.id) is None


async def test_from_login_to_a_sealed_answer(house: House) -> None:
    keys = Keyring()
    async with tieline.datagrams(
        "udp://127.0.0.1:0", lambda message, sender: endpoint.owner(sender).account.encode(), key=keys
    ) as endpoint:
        datagram.install(house.handlers, keys, lambda: endpoint.address)
        ada = house.login("ada")
        key = await ada.call("datagram.key", returns=Key)
        async with tieline.datagrams(to=key.address, key=key) as client:
            assert await client.request(b"who am I?") == b"ada"
            house.links.cut("ada", None)
            with pytest.raises(tieline.DeadlineExceeded):
                await client.request(b"and now?", timeout=0.1)
