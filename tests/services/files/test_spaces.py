"""Who may do what where: every kind of caller, every kind of place, everything one may want."""

import asyncio
import itertools

import pytest

from tieline.errors import CallError, Denied, InvalidArgument, NotFound
from tieline.login.identity import ENROL, Identity
from tieline.services.files.spaces import Spaces, Want
from tieline.store.files.names import parse

FILES = frozenset({"files.read", "files.write"})
ADA = Identity("ada", "laptop", FILES | {"chat"})
CALLERS = {
    "ada": ADA,
    "ada's token": Identity("ada", "token/ci", FILES, "http"),
    "reader": Identity("ada", "laptop", frozenset({"files.read", "chat"})),
    "writer": Identity("ada", "laptop", frozenset({"files.write", "chat"})),
    "chatter": Identity("ada", "laptop", frozenset({"chat"})),
    "admin": Identity("grace", "laptop", frozenset({"admin"})),
    "guest": Identity("guest-eve", "guest", FILES | {"chat"}, guest=True),
    "ticket": Identity("ada", "ticket/x", frozenset({ENROL})),
}
WANTS: tuple[Want, ...] = ("list", "read", "write", "remove")

# For each place, what each caller may; nobody may anything that is not here. l, r, w, d: list, read, write, remove.
RIGHTS = {
    "/": {"ada": "l", "ada's token": "l", "reader": "l", "admin": "l"},
    "/x": {"ada": "lrwd", "ada's token": "lrwd", "reader": "lr", "writer": "wd", "admin": "lrwd"},
    "/lab/data/x": {"ada": "lrwd", "ada's token": "lrwd", "reader": "lr", "writer": "wd", "admin": "lrwd"},
    "/rooms": {"ada": "l", "reader": "l", "admin": "l"},
    "/rooms/lobby": {"ada": "lr", "reader": "lr", "admin": "lr"},
    "/rooms/lobby/x": {"ada": "lrwd", "reader": "lr", "writer": "wd", "admin": "lrwd"},
    "/rooms/@ada+bob": {"ada": "lr", "reader": "lr"},
    "/rooms/@ada+bob/x": {"ada": "lrwd", "reader": "lr", "writer": "wd"},
    "/rooms/@bob+eve/x": {},
    "/people": {"ada": "l", "ada's token": "l", "reader": "l", "admin": "l"},
    "/people/ada": {"ada": "lr", "ada's token": "lr", "reader": "lr"},
    "/people/ada/x": {"ada": "lrwd", "ada's token": "lrwd", "reader": "lr", "writer": "wd"},
    "/people/ada/inbox/grace/x": {"ada": "lrwd", "ada's token": "lrwd", "reader": "lr", "writer": "wd", "admin": "w"},
    "/people/bob": {},
    "/people/bob/x": {},
    "/people/bob/inbox/x": {},
    "/people/bob/inbox/ada": {},
    "/people/bob/inbox/ada/x": {"ada": "w", "ada's token": "w", "writer": "w"},
    "/people/bob/inbox/ada/deep/x": {"ada": "w", "ada's token": "w", "writer": "w"},
    "/people/bob/inbox/grace/x": {"admin": "w"},
    "/people/bob/Inbox/ada/x": {},
    "/people/bob/other/ada/x": {},
    "/people/nobody/inbox/ada/x": {},
}


async def accounts() -> list[str]:
    return ["grace", "ada", "bob"]


@pytest.mark.parametrize("place", RIGHTS)
async def test_everybody_may_just_what_the_table_says(place: str) -> None:
    spaces = Spaces(accounts)
    for who, want in itertools.product(CALLERS, WANTS):
        granted = {"list": "l", "read": "r", "write": "w", "remove": "d"}[want] in RIGHTS[place].get(who, "")
        try:
            await spaces.admit(CALLERS[who], place, want)
        except (Denied, NotFound):
            assert not granted, (who, want)
        else:
            assert granted, (who, want)


async def test_only_a_strangers_letter_box_takes_nothing_but_new_files() -> None:
    spaces = Spaces(accounts)
    for path, new in {
        "/x": False,
        "/people/ada/x": False,
        "/people/bob/inbox/ada/x": True,
        "/people/bob/inbox/ada/a/b": True,
        "/rooms/lobby/x": False,
        "/people": False,
    }.items():
        assert spaces.new_only(ADA, parse(path)) is new, path


@pytest.mark.parametrize(
    "path",
    [
        "/People/bob/x",
        "/PEOPLE/bob/x",
        "/Rooms/lobby/x",
        "/people/Bob/x",
        "/people/BOB/x",
        "/people/-bob/x",
        "/people/ticket/x",
        "/people/guest-eve/x",
        "/rooms/Lobby/x",
        "/rooms/a b/x",
        "/rooms/\u212aelvin/x",
    ],
)
async def test_another_spelling_of_a_space_is_no_way_around_its_rules(path: str) -> None:
    with pytest.raises(InvalidArgument):
        await Spaces(accounts).admit(ADA, path, "write")


@pytest.mark.parametrize("room", ["@bob+ada", "@ada+ada2+bob", "@ada", "@+ada", "@ada+"])
async def test_a_room_of_two_has_one_name(room: str) -> None:
    with pytest.raises(CallError):
        await Spaces(accounts).admit(ADA, f"/rooms/{room}/x", "read")


async def test_a_listing_of_spaces_shows_those_one_may_list() -> None:
    spaces = Spaces(accounts)
    for path, shown in {
        "/rooms/lobby": True,
        "/rooms/@ada+bob": True,
        "/rooms/@bob+eve": False,
        "/rooms/Not A Room": False,
        "/people/ada": True,
        "/people/bob": False,
        "/lab/x": True,
        "/rooms": True,
        "/rooms/lobby/x": True,
    }.items():
        assert spaces.visible(ADA, tuple(path[1:].split("/"))) is shown, path


async def test_an_account_that_came_later_has_a_letter_box_too() -> None:
    names = ["ada"]

    async def growing() -> list[str]:
        return names

    spaces = Spaces(growing)
    spaces.start()
    with pytest.raises(NotFound, match="no account 'carol'"):
        await spaces.admit(ADA, "/people/carol/inbox/ada/x", "write")
    names.append("carol")
    assert await spaces.admit(ADA, "/people/carol/inbox/ada/x", "write") == ("people", "carol", "inbox", "ada", "x")
    names.append("dan")
    path = "/people/dan/inbox/ada/x"
    assert await asyncio.to_thread(spaces.admit_in_thread, ADA, path, "write") == tuple(path[1:].split("/"))
    with pytest.raises(NotFound):
        await asyncio.to_thread(spaces.admit_in_thread, ADA, "/people/eve/inbox/ada/x", "write")
