"""When each machine was last here."""

from tieline.login.records import Account, Device, Verifier
from tieline.store.machines import Seen


async def add(store, account, *devices):
    await store.put_account(Account(account, frozenset({"chat"}), 1))
    for device in devices:
        await store.put_device(
            Device(account, device, frozenset({"chat"}), Verifier(bytes(16), bytes(32), bytes(32), 4096), 1)
        )


async def test_the_last_time_counts(either):
    await add(either, "ada", "lab-2", "lab-1")
    for device, at in (("lab-2", 5), ("lab-1", 7), ("lab-2", 9)):
        await either.machine_seen("ada", device, at)
    assert await either.machines_seen() == [Seen("ada", "lab-1", 7), Seen("ada", "lab-2", 9)]


async def test_those_whose_device_or_account_is_gone_are_forgotten(either):
    await add(either, "ada", "lab-1", "lab-2")
    await add(either, "bob", "lab-1")
    for account, device in (("ada", "lab-1"), ("ada", "lab-2"), ("bob", "lab-1"), ("eve", "lab-1")):
        await either.machine_seen(account, device, 3)
    await either.revoke_device("ada", "lab-2")
    await either.revoke_account("bob", 4)
    assert await either.machines_seen() == [Seen("ada", "lab-1", 3)]
    await either.machine_seen("ada", "lab-1", 5)
    rows = await either._read(lambda db: db.execute("SELECT account, device FROM machines").fetchall())
    assert rows == [("ada", "lab-1")]


async def test_the_servers_own_machine_has_no_device_and_is_kept_all_the_same(either):
    await add(either, "ada")
    await either.machine_seen("ada", "local", 3)
    assert await either.machines_seen() == [Seen("ada", "local", 3)]
