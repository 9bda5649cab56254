"""When each machine was last here."""

from tieline.login.records import Account, Device, Verifier
from tieline.store.machines import Change, Seen

CHAT = frozenset({"chat"})


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
    assert await either.machines_seen() == [Seen("ada", "lab-1", 7, CHAT), Seen("ada", "lab-2", 9, CHAT)]


async def test_those_whose_device_or_account_is_gone_are_forgotten(either):
    await add(either, "ada", "lab-1", "lab-2")
    await add(either, "bob", "lab-1")
    for account, device in (("ada", "lab-1"), ("ada", "lab-2"), ("bob", "lab-1"), ("eve", "lab-1")):
        await either.machine_seen(account, device, 3)
    await either.revoke_device("ada", "lab-2")
    await either.revoke_account("bob", 4)
    assert await either.machines_seen() == [Seen("ada", "lab-1", 3, CHAT)]
    await either.machine_seen("ada", "lab-1", 5)
    rows = await either._read(lambda db: db.execute("SELECT account, device FROM machines").fetchall())
    assert rows == [("ada", "lab-1")]


async def test_the_servers_own_machine_has_no_device_and_is_kept_all_the_same(either):
    await add(either, "ada")
    await either.machine_seen("ada", "local", 3)
    assert await either.machines_seen() == [Seen("ada", "local", 3, CHAT)]


async def test_a_machine_may_what_both_its_device_and_its_account_may(either):
    await add(either, "ada", "lab-1")
    for scopes, left in ((("chat", "shell"), ("chat",)), (("shell",), ()), (("admin",), ("chat",))):
        await either.put_account(Account("ada", frozenset(scopes), 1))
        await either.machine_seen("ada", "lab-1", 3)
        assert await either.machines_seen() == [Seen("ada", "lab-1", 3, frozenset(left))]


async def test_of_changes_the_last_of_each_is_kept(either):
    for change in (Change(1, "ada", None), Change(2, "ada", "lab-1"), Change(3, "bob", None), Change(4, "ada", None)):
        await either.change(change)
    assert await either.changes() == [Change(2, "ada", "lab-1"), Change(3, "bob", None), Change(4, "ada", None)]
