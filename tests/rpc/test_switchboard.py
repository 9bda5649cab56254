"""Which machine is meant, who may call it for what, and what may be offered."""

import asyncio

import pytest
from tests.rpc.board import RAW, Board
from tests.rpc.conftest import hang_up, nothing_left, settle, until

from tieline.errors import (
    CallError,
    Conflict,
    Denied,
    InvalidArgument,
    LinkClosed,
    NotFound,
    Overloaded,
    Unavailable,
)
from tieline.limits import Limits
from tieline.login.identity import ENROL
from tieline.login.names import PASSWORD
from tieline.rpc.handlers import Handlers
from tieline.rpc.offers import Offer
from tieline.wire.messages import Origin


def offering(**methods) -> Handlers:
    """Handlers that answer with a value each; a tuple is a value and the scope it needs."""
    handlers = Handlers()
    for name, answer in methods.items():
        value, scope = answer if isinstance(answer, tuple) else (answer, None)
        handlers.add(lambda value=value: value, name.replace("_", "."), scope=scope)
    return handlers


# -- names ------------------------------------------------------------------------------------------------------------


async def test_a_device_is_named_alone_while_it_is_the_only_one_of_its_name(board):
    ada = await board.machine(offering(who="ada's"), "lab", account="ada")
    caller = await board.join("desk", account="eve")
    assert board.switchboard.target("ada", "lab") == "lab"
    assert await caller.call("lab/who") == "ada's"
    await board.machine(offering(who="bob's"), "lab", account="bob")
    assert board.switchboard.target("ada", "lab") == "ada/lab"
    with pytest.raises(Conflict, match="2 machines called 'lab': say ada/lab or bob/lab"):
        await caller.call("lab/who")
    assert await caller.call("ada/lab/who") == "ada's"
    assert await caller.call("bob/lab/who") == "bob's"
    assert await ada.call("lab/who") == "ada's"  # one's own is meant before others'


async def test_a_name_is_not_given_to_another_while_its_owner_is_away(board):
    lab = await board.machine(offering(who="ada's"), "lab", account="ada")
    caller = await board.join("desk", account="eve")
    await hang_up(lab)
    with pytest.raises(Unavailable, match="'lab' is not here now"):
        await caller.call("lab/who")
    await board.machine(offering(who="an impostor's"), "lab", account="mallory")
    with pytest.raises(Conflict, match="say ada/lab or mallory/lab"):
        await caller.call("lab/who")
    with pytest.raises(Unavailable):
        await caller.call("ada/lab/who")


@pytest.mark.parametrize(("better", "worse"), [(("shell",), ("chat",)), (("admin",), ("shell",)), (("admin",), ())])
async def test_a_name_belongs_to_the_better_standing_and_nobody_of_a_worse_one_can_spoil_it(board, better, worse):
    lab = await board.machine(offering(who="ada's"), "lab", account="ada", scopes=better)
    await board.machine(offering(who="an impostor's"), "lab", account="mallory", scopes=worse)
    caller = await board.join("desk", account="eve")
    assert await caller.call("lab/who") == "ada's"
    assert board.switchboard.target("ada", "lab", "eve") == "lab"
    assert board.switchboard.target("mallory", "lab", "eve") == "mallory/lab"
    assert await caller.call("mallory/lab/who") == "an impostor's"
    await hang_up(lab)
    with pytest.raises(Unavailable):
        await caller.call("lab/who")


async def test_those_of_earlier_times_are_remembered_until_they_are_no_more(board):
    board.switchboard.remember([("ada", "lab", {"chat"}), ("ada", "old", {"chat"}), ("ada", "box", {"shell"})])
    await board.machine(offering(who="bob's"), "lab", account="bob")
    await board.machine(offering(who="bob's"), "box", account="bob")
    caller = await board.join("desk", account="eve")
    with pytest.raises(Conflict):
        await caller.call("lab/who")
    for away in ("old/who", "box/who"):
        with pytest.raises(Unavailable):
            await caller.call(away)
    board.switchboard.remember([])
    assert await caller.call("lab/who") == "bob's"
    with pytest.raises(NotFound):
        await caller.call("old/who")


@pytest.mark.parametrize("method", ["lab-2/who", "bob/lab-1/who", "/who", "//who", "/lab-1/who", "lab-1/", "a/b/c/who"])
async def test_what_means_no_machine_is_not_found(board, method):
    await board.machine(offering(who="ada's"))
    caller = await board.join("desk")
    with pytest.raises(NotFound):
        await caller.call(method)


# -- what may be offered ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "sentence"),
    [
        (Offer("a/b"), "words joined by"),
        (Offer(""), "words joined by"),
        (Offer("a b"), "words joined by"),
        (Offer("\x1b[2J"), "words joined by"),
        (Offer("a" * 200), "words joined by"),
        (Offer("ok", scope="root"), "no scope 'root'"),
        (Offer("ok", scope=ENROL), "no scope 'enrol'"),
        (Offer("ok", signature="(" * 5000), "description is longer"),
        (Offer("ok", about="x" * 5000), "description is longer"),
    ],
)
async def test_an_offer_that_cannot_be_is_refused_and_changes_nothing(board, offer, sentence):
    peer = await board.machine(offering(who="ada's"))
    with pytest.raises(InvalidArgument, match=sentence):
        await peer.call("machines.offer", methods=[Offer("good"), offer])
    caller = await board.join("desk")
    assert await caller.call("lab-1/who") == "ada's"
    with pytest.raises(NotFound):
        await caller.call("lab-1/good")


async def test_there_are_as_many_methods_and_machines_as_the_limits_say():
    async with nothing_left():
        board = Board(Limits(offered=3, machines=2, offering_links=2))
        many = offering(a=1, b=2, c=3, d=4)
        peer = await board.join("lab-1")
        with pytest.raises(InvalidArgument, match="4 methods are more than one link may offer; the limit is 3"):
            await peer.serve(many)
        await board.machine(offering(a=1), "lab-2")
        await board.machine(offering(a=1), "lab-3")
        with pytest.raises(Overloaded, match="2 machines offer methods already"):
            await board.machine(offering(a=1), "lab-4")
        await board.machine(offering(a=1), "lab-3")
        with pytest.raises(Overloaded, match="2 links of ada/lab-3 offer methods"):
            await board.machine(offering(a=1), "lab-3")
        await board.close()


@pytest.mark.parametrize("who", [{"guest": True, "device": "guest"}, {"device": PASSWORD}])
async def test_guests_and_passwords_offer_nothing(board, who):
    peer = await board.join(**who)
    with pytest.raises(Denied, match="a device that joined"):
        await peer.serve(offering(who="nobody's"))


async def test_what_was_refused_is_not_offered_with_the_next(board):
    peer = await board.join("lab-1")
    with pytest.raises(InvalidArgument):
        await peer.serve(offering(bad=(1, "root")))
    await peer.serve(offering(good=1))
    caller = await board.join("desk")
    assert await caller.call("lab-1/good") == 1


async def test_offers_add_up_and_new_methods_of_the_same_handlers_follow(board):
    peer = await board.join("lab-1")
    first = offering(a=1)
    await peer.serve(first)
    await peer.serve(offering(b=2))
    first.add(lambda: 3, "c")
    await peer.serve(first)
    caller = await board.join("desk")
    assert [await caller.call(f"lab-1/{name}") for name in "abc"] == [1, 2, 3]


async def test_what_is_withdrawn_is_offered_no_more_and_what_is_open_goes_on(board):
    gate = asyncio.Event()
    handlers = offering(a=1)

    @handlers.method("wait")
    async def wait() -> str:
        await gate.wait()
        return "done"

    machine = await board.join("lab-1")
    assert await machine.serve(handlers) == "lab-1"
    caller = await board.join("desk")
    waiting = asyncio.create_task(caller.call("lab-1/wait"))
    await until(lambda: board.seat(caller).open_work)
    await settle()
    await machine.withdraw()
    with pytest.raises(NotFound):
        await caller.call("lab-1/a")
    gate.set()
    assert await waiting == "done"


# -- more than one link -----------------------------------------------------------------------------------------------


async def test_the_links_of_one_device_are_one_machine_and_the_newest_has_the_say(board):
    await board.machine(offering(a="first", only="first"))
    second = await board.machine(offering(a="second", more="second"))
    caller = await board.join("desk")
    assert await caller.call("lab-1/a") == "second"
    assert await caller.call("lab-1/only") == "first"
    assert await caller.call("lab-1/more") == "second"
    assert [offer.name for offer in board.switchboard.machine("lab-1").methods()] == ["a", "more", "only"]
    await hang_up(second)
    assert await caller.call("lab-1/a") == "first"
    with pytest.raises(NotFound):
        await caller.call("lab-1/more")


async def test_while_one_link_of_a_machine_is_leaving_another_has_the_say(board):
    gate = asyncio.Event()
    handlers = offering(a="second")

    @handlers.method("wait")
    async def wait() -> None:
        await gate.wait()

    await board.machine(offering(a="first"))
    second = await board.machine(handlers)
    caller = await board.join("desk")
    assert await caller.call("lab-1/a") == "second"
    waiting = asyncio.create_task(caller.call("lab-1/wait"))
    await until(lambda: board.seat(caller).open_work)
    await settle()
    second.refuse_calls("going home")
    await settle()
    assert await caller.call("lab-1/a") == "first"
    gate.set()
    await waiting


async def test_a_program_that_comes_back_takes_the_place_of_its_lost_link(board):
    gate = asyncio.Event()
    handlers = Handlers()

    @handlers.method("wait")
    async def wait() -> None:
        await gate.wait()

    old = await board.machine(handlers)
    caller = await board.join("desk")
    waiting = asyncio.create_task(caller.call("lab-1/wait"))
    await until(lambda: board.seat(caller).open_work)
    old.link.stream.pause_reading()  # as if the network had lost it: nobody says goodbye
    new = await board.join("lab-1")
    methods = [Offer("wait")]
    await new.call("machines.offer", methods=methods, instance=old._served._instance)
    with pytest.raises(Unavailable, match="was lost during the call"):
        await waiting
    assert len(board.switchboard.machine("lab-1").offerings) == 1
    stranger = await board.join("lab-1", account="bob")
    await stranger.call("machines.offer", methods=methods, instance=old._served._instance)
    assert board.seat(new).is_open


# -- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("needs", [None, "chat", "files.read", "shell", "admin"])
@pytest.mark.parametrize("has", [(), ("chat",), ("files.read", "files.write"), ("shell",), ("admin",), (ENROL,)])
async def test_the_caller_needs_the_scope_the_machine_asked_for(board, needs, has):
    ran = []
    handlers = Handlers()
    handlers.add(lambda: ran.append(1), "guarded", scope=needs)
    await board.machine(handlers, scopes=("admin",))
    caller = await board.join("desk", scopes=has)
    allowed = ENROL not in has and (needs is None or needs in has or "admin" in has)
    if allowed:
        assert await caller.call("lab-1/guarded") is None
    else:
        with pytest.raises(NotFound if ENROL in has else Denied):
            await caller.call("lab-1/guarded")
    assert ran == [1] * allowed


@pytest.mark.parametrize(
    ("name", "scope", "has", "allowed"),
    [
        ("shell.run", "shell", ("chat",), False),
        ("shell.run", None, ("chat",), False),
        ("shell.run", "chat", ("chat",), False),
        ("shell.run", "shell", ("shell",), True),
        ("shell.run", "shell", ("admin",), True),
        ("tool", "shell", ("chat",), False),
        ("tool", "admin", ("shell",), False),
        ("tool", "chat", ("chat",), True),
        ("tool", None, (), True),
        ("chat.post", None, (), False),
    ],
)
async def test_only_who_holds_a_scope_offers_what_needs_it(board, name, scope, has, allowed):
    """Who calls such a method trusts it: anybody's machine called lab-1 would else be sent what is for lab-1."""
    handlers = Handlers()
    handlers.add(lambda: "run", name, scope=scope)
    if allowed:
        await board.machine(handlers, scopes=has)
    else:
        with pytest.raises(Denied, match=f"may not offer {name}: it does not hold the scope"):
            await board.machine(handlers, scopes=has)
        assert not list(board.switchboard)


async def test_more_than_the_scope_may_be_asked_for(board):
    await board.machine(offering(sensor_read=1, sensor_reset=2))

    def permit(identity, machine, method):
        assert (identity.account, machine) == ("bob", "ada/lab-1")
        if method == "sensor.reset":
            raise Denied("bob may only read")

    board.switchboard.permit = permit
    caller = await board.join("desk", account="bob")
    assert await caller.call("lab-1/sensor.read") == 1
    with pytest.raises(Denied, match="bob may only read"):
        await caller.call("ada/lab-1/sensor.reset")


# -- forged -----------------------------------------------------------------------------------------------------------

FORGED = Origin(1, "root", "console", ("admin",))


def called_raw(peer, *fields):
    """A CALL made by hand; the future of its answer."""
    channel = peer.session.call(RAW(fields))
    future = asyncio.get_running_loop().create_future()
    peer._calls.replies[channel] = (future, lambda payload: payload, "raw")
    peer.link.flush()
    return future


async def test_a_client_cannot_say_for_whom_it_calls(board):
    board.handlers.add(lambda peer: str(peer.identity), "whoami")
    seen = []
    handlers = Handlers()
    handlers.add(lambda: seen.append(1), "guarded", scope="admin")
    handlers.add(lambda: seen.append(2), "open")
    await board.machine(handlers, scopes=("admin",))
    caller = await board.join("desk", account="eve", scopes=("chat",))
    for method in ("lab-1/guarded", "lab-1/open"):
        with pytest.raises(Denied, match="only a server says"):
            await called_raw(caller, method, {}, None, False, FORGED)
    for method in ("/guarded", "/open", "/", "//"):
        with pytest.raises((NotFound, Denied)):
            await called_raw(caller, method, {}, None, False, FORGED)
    assert seen == []


async def test_a_method_of_the_server_takes_no_notice_of_a_forged_name(board):
    from tieline.rpc.peer import Peer

    def whoami(peer: Peer) -> str:
        return f"{peer.identity} {sorted(peer.identity.scopes)}"

    board.handlers.add(whoami, "whoami")
    board.handlers.add(lambda: "secret", "guarded", scope="admin")
    caller = await board.join("desk", account="eve", scopes=("chat",))
    assert RAW("eve/desk ['chat']") == await called_raw(caller, "whoami", {}, None, False, FORGED)
    with pytest.raises(Denied):
        await called_raw(caller, "guarded", {}, None, False, FORGED)


@pytest.mark.parametrize("forged", [5, "root", ["x"], [1, "root"], [1, 2, 3, 4], {}])
async def test_a_name_that_cannot_be_read_ends_the_link(board, forged):
    caller = await board.join("desk", account="eve")
    with pytest.raises(LinkClosed):
        await called_raw(caller, "here", {}, None, False, forged)
    assert not caller.is_open


async def test_a_machine_checks_again_what_the_server_should_have_checked(board):
    ran = []
    handlers = Handlers()
    handlers.add(lambda: ran.append(1), "guarded", scope="shell")
    machine = await board.machine(handlers, scopes=("shell",))
    server = board.seat(machine)
    with pytest.raises(Denied, match="needs the scope 'shell'"):
        await called_raw(server, "/guarded", {}, None, False, Origin(7, "eve", "desk", ("chat",)))
    assert ran == []
    assert await called_raw(server, "/guarded", {}, None, False, Origin(8, "bob", "desk", ("shell",))) == RAW(None)
    assert ran == [1]


async def test_what_is_served_and_what_is_for_the_server_do_not_mix(board):
    served, for_server = offering(open="served"), offering(secret="for the server", open="for the server")
    machine = await board.join("lab-1", client_handlers=for_server)
    await machine.serve(served)
    server, caller = board.seat(machine), await board.join("desk")
    assert await server.call("open") == "for the server"
    assert await server.call("secret") == "for the server"
    assert await caller.call("lab-1/open") == "served"
    with pytest.raises(NotFound):
        await caller.call("lab-1/secret")
    origin = Origin(7, "eve", "desk", ("admin",))
    with pytest.raises(NotFound):
        await called_raw(server, "/secret", {}, None, False, origin)
    with pytest.raises(NotFound):
        await called_raw(server, "/open", {})  # of the server's own, without a caller
    with pytest.raises(NotFound):
        await called_raw(server, "//", {}, None, False, origin)


async def test_who_serves_nothing_is_passed_nothing(board):
    client = await board.join("desk")
    with pytest.raises(NotFound):
        await called_raw(board.seat(client), "/open", {}, None, False, Origin(7, "eve", "desk", ("admin",)))


async def test_a_machine_may_call_itself_and_others_from_its_handlers(board):
    handlers = offering(a=1)
    first = await board.machine(handlers, "lab-1")

    @handlers.method("through")
    async def through() -> int:
        return await first.call("lab-2/b") + await first.call("lab-1/a")

    await first.serve(handlers)
    await board.machine(offering(b=2), "lab-2")
    caller = await board.join("desk")
    assert await caller.call("lab-1/through") == 3
    assert await first.call("lab-1/through") == 3


async def test_nonsense_for_methods_is_an_error_and_not_the_end(board):
    peer = await board.join("lab-1")
    for methods in (5, [5], [{"name": 5}], [{}], [{"name": "a", "scope": 5}]):
        with pytest.raises(CallError):
            await peer.call("machines.offer", methods=methods)
    await settle()
    assert peer.is_open
