"""Who may run what, by which door: one table of operations, one of callers, one of doors, and every cell of it tried.

What is denied has also not happened: the commands would leave a file behind, and the audit would know.
"""

import asyncio
import json
import secrets
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.services.shell.leftovers import until
from tests.services.shell.unwritten import NoAudit

import tieline
from tieline import commands
from tieline.errors import CallError, Denied, InvalidArgument, LinkError, LoginError, NotFound, TielineError
from tieline.lanes.connection import Lane
from tieline.lanes.server import LaneServer
from tieline.lanes.tokens import Tokens
from tieline.limits import DEFAULT
from tieline.login.credential import new_key
from tieline.login.identity import ENROL, Identity
from tieline.login.scram import make_verifier
from tieline.login.scram_bounds import KEY_ITERATIONS, PASSWORD_ITERATIONS
from tieline.services import shell
from tieline.services.files.serving import offering
from tieline.services.shell.elsewhere import ServerRules
from tieline.store.sqlite import SqliteStore

Params = dict[str, Any]
BEGUN = ("id", "account", "device", "address", "target", "kind", "folder")
OPERATIONS: dict[str, tuple[str | None, Callable[[str], Params]]] = {
    # method: the scope it needs (or what one must be), and its parameters, given a file that tells that it ran
    "shell.run": ("shell", lambda file: {"id": secrets.token_hex(8), "argv": ["touch", file]}),
    "shell.open": ("shell", lambda file: {"argv": ["touch", file]}),
    "shell.errors": ("shell", lambda file: {"id": "x" * 16}),
    "shell.signal": ("shell", lambda file: {"id": "x" * 16, "name": "KILL"}),
    "shell.unread": ("shell", lambda file: {"id": "x" * 16}),
    "shell.attach": ("shell", lambda file: {"id": "x"}),
    "shell.resize": ("shell", lambda file: {"id": "x", "rows": 1, "columns": 1}),
    "shell.sessions": ("shell", lambda file: {}),
    "shell.share": ("shell", lambda file: {"id": "x", "watchable": True}),
    "shell.close": ("shell", lambda file: {"id": "x"}),
    "shell.narrow": ("admin", lambda file: {"account": "with-nothing"}),
    "shell.rule": ("admin", lambda file: {"account": "nobody"}),
    "audit.list": (None, lambda file: {}),
    "audit.begun": ("machine", lambda file: {"entry": {**dict.fromkeys(BEGUN, ""), "argv": [], "at": 0}}),
    "audit.ended": ("machine", lambda file: {"id": "x", "at": 0, "outcome": "", "out": 0}),
    "accounts.allow": ("admin", lambda file: {"account": "nobody", "can": ["shell"]}),
    "accounts.invite": ("admin", lambda file: {"account": "nobody2", "can": ["shell"]}),
    "chat.rooms": ("chat", lambda file: {}),
}
ON_MACHINES: dict[str, tuple[tuple[str, ...], Callable[[str], Params]]] = {
    # the same of a machine that joined: a method, the scopes of which it needs one, and its parameters
    **{name: (("shell",), OPERATIONS[name][1]) for name in (
        "shell.run", "shell.open", "shell.errors", "shell.signal", "shell.unread", "shell.attach", "shell.resize",
        "shell.sessions", "shell.share", "shell.close",
    )},
    "files.list": (("files.read",), lambda file: {}),
    "files.stat": (("files.read",), lambda file: {"path": "/there"}),
    "files.make": (("files.write",), lambda file: {"path": f"/{Path(file).name}"}),
    "files.remove": (("files.write",), lambda file: {"path": "/nothing"}),
    "files.move": (("files.write",), lambda file: {"source": "/there", "target": "/there"}),
    "files.lane": (("files.read", "files.write"), lambda file: {}),
    "files.tunnel": (("files.read", "files.write"), lambda file: {}),
}  # fmt: skip
STREAMS = ("shell.run", "shell.errors", "shell.attach", "files.tunnel")
CALLERS = {
    "with nothing": frozenset[str](),
    "for chat": frozenset({"chat"}),
    "for reading": frozenset({"files.read"}),
    "for writing": frozenset({"files.write"}),
    "for files": frozenset({"files.read", "files.write"}),
    "for chat and files": frozenset({"chat", "files.read", "files.write"}),
    "for a shell": frozenset({"shell"}),
    "an admin": frozenset({"admin"}),
}
REFUSED = "denied"
PASSWORD = "a word that is long enough"


def allowed(scope: str | None, scopes: frozenset[str]) -> bool:
    return scope is None or scope in scopes or (scope != "machine" and "admin" in scopes)


@dataclass
class Place:
    """A server that would run commands, and somebody for each line of CALLERS."""

    server: tieline.Server
    folder: Path
    tcp: str
    tls: str
    keys: dict[str, str]

    def account(self, caller: str) -> str:
        return caller.replace(" ", "-")

    def credential(self, caller: str) -> dict[str, Any]:
        return {"account": self.account(caller), "device": "box", "key": self.keys[caller]}

    async def set_password(self, caller: str) -> None:
        verifier = await asyncio.to_thread(make_verifier, PASSWORD, PASSWORD_ITERATIONS, secrets.token_bytes)
        async with tieline.connect(self.tcp, **self.credential(caller)) as peer:
            await peer.call("accounts.password", verifier=verifier)

    @property
    def marks(self) -> set[str]:
        return {file.name for file in self.folder.iterdir()}


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    server = tieline.Server(data=tmp_path / "data", allow_shell=True, guests=True)
    (tmp_path / "marks").mkdir()
    async with server.serving("tcp://127.0.0.1:0") as (address,):
        made = Place(server, tmp_path / "marks", address, address.replace("tcp", "tls"), {})
        made.tls += f"?pin={server.certificate.pin}"
        for caller, scopes in CALLERS.items():
            made.keys[caller] = await enrolled(made, made.account(caller), scopes)
        yield made


async def enrolled(place: Place, account: str, scopes: frozenset[str]) -> str:
    """An account with just these scopes, and its device's key."""
    ticket = await place.server.invite(account, can=scopes or {"chat"}, where=place.tcp.removeprefix("tcp://"))
    key = new_key()
    verifier = make_verifier(key, KEY_ITERATIONS, secrets.token_bytes)
    async with tieline.connect(ticket) as peer:
        await peer.call("accounts.enrol", device="box", verifier=verifier)
    await place.server.accounts.allow(account, scopes)
    return key


# -- doors: somebody's way in, and then (method, parameters) -> the code of the error, or "" ---------------------------

Ask = Callable[[str, Params], Awaitable[str]]
Door = Callable[[Place, str], AbstractAsyncContextManager[Ask]]


@asynccontextmanager
async def by_link(place: Place, caller: str, address: str = "") -> AsyncIterator[Ask]:
    async with tieline.connect(address or place.tcp, **place.credential(caller)) as peer:
        yield partial(asked, peer)


def by_tls(place: Place, caller: str) -> AbstractAsyncContextManager[Ask]:
    return by_link(place, caller, place.tls)


@asynccontextmanager
async def by_process(place: Place, caller: str) -> AsyncIterator[Ask]:
    peer = place.server.admit(Identity(place.account(caller), "box", CALLERS[caller], via="http"))
    try:
        yield partial(asked, peer)
    finally:
        await peer.close()


@asynccontextmanager
async def by_lines(place: Place, caller: str) -> AsyncIterator[Ask]:
    """As with nc: name, password, and JSON-RPC objects on lines."""
    await place.set_password(caller)
    host, _, port = place.tcp.removeprefix("tcp://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=1 << 20)
    writer.write(f"{place.account(caller)}\n{PASSWORD}\n".encode())

    async def ask(method: str, params: Params) -> str:
        writer.write(json.dumps({"jsonrpc": "2.0", "id": 77, "method": method, "params": params}).encode() + b"\n")
        async with asyncio.timeout(30):
            while line := await reader.readline():
                _, brace, rest = line.partition(b'{"jsonrpc"')
                answer = json.loads(brace + rest) if brace else {}
                if answer.get("id") == 77 and "error" in answer:
                    return str(answer["error"].get("data", {}).get("code", "invalid_argument"))
                if answer.get("id") == 77 and "result" in answer:
                    return ""
        raise AssertionError("no answer")

    try:
        yield ask
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def asked(peer: tieline.Peer, method: str, params: Params) -> str:
    try:
        async with asyncio.timeout(30):
            if method.rpartition("/")[2] in STREAMS:
                async for _ in peer.stream(method, **params):
                    pass
            else:
                await peer.call(method, **params)
    except CallError as error:
        return error.code
    return ""


DOORS: dict[str, Door] = {"tcp": by_link, "tls": by_tls, "a door": by_process, "lines": by_lines}


@pytest.mark.parametrize("door", DOORS)
async def test_the_matrix(place: Place, door: str) -> None:
    marks, maybe = set(), set()
    for caller, scopes in CALLERS.items():
        async with DOORS[door](place, caller) as ask:
            for method, (scope, params) in OPERATIONS.items():
                mark = f"{caller} {method}".replace(" ", "-")
                code = await ask(method, params(str(place.folder / mark)))
                cell = f"{caller}, by {door}: {method} answered {code!r}"
                assert (code == REFUSED) == (not allowed(scope, scopes)), cell
                if method in ("shell.run", "shell.open") and allowed(scope, scopes):
                    # Streams are not for lines: the command ends as soon as it has begun.
                    streams = door == "lines" and method == "shell.run"
                    assert code == ("invalid_argument" if streams else ""), cell
                    (maybe if streams else marks).add(mark)
    await until(lambda: place.marks >= marks)
    assert place.marks <= marks | maybe


@asynccontextmanager
async def machine(place: Place) -> AsyncIterator[tieline.Handlers]:
    """A device of an admin that offers all that an agent can, with the folder `share`."""
    (share := place.folder.parent / "share").mkdir()
    (share / "there").write_text("something")
    handlers = tieline.Handlers()

    def make_lanes(tokens: Tokens, serve: Callable[[Lane, Identity], None]) -> LaneServer:
        return LaneServer(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), tokens, serve, DEFAULT)

    async with (
        tieline.connect(place.tcp, **place.credential("an admin")) as peer,
        SqliteStore(":memory:") as store,
        offering(handlers, store, share, make_lanes, DEFAULT),
        shell.serving(handlers, DEFAULT, rules=ServerRules(peer), audit=NoAudit(), name="an-admin/box"),
    ):
        await peer.serve(handlers)
        yield handlers


@pytest.mark.parametrize("door", DOORS)
async def test_the_matrix_of_a_machine(place: Place, door: str) -> None:
    marks, maybe, made = set(), set(), {"there"}
    async with machine(place) as handlers:
        assert {handler.name for handler in handlers} == ON_MACHINES.keys(), "every method is in the table"
        for caller, scopes in CALLERS.items():
            async with DOORS[door](place, caller) as ask:
                for method, (needed, params) in ON_MACHINES.items():
                    mark = f"{caller} {method}".replace(" ", "-")
                    code = await ask(f"an-admin/box/{method}", params(str(place.folder / mark)))
                    may = any(allowed(scope, scopes) for scope in needed)
                    cell = f"{caller}, by {door}: {method} of a machine answered {code!r}"
                    assert (code == REFUSED) == (not may), cell
                    if may and method == "files.make":
                        assert code == "", cell
                        made.add(mark)
                    if may and method in ("shell.run", "shell.open"):
                        (maybe if door == "lines" and method == "shell.run" else marks).add(mark)
        await until(lambda: place.marks >= marks)
        assert place.marks <= marks | maybe
        share = place.folder.parent / "share"
        assert {path.name for path in share.iterdir() if not path.name.startswith(".tieline")} == made


async def test_guests_and_tickets_and_forged_frames_reach_no_machine(place: Place) -> None:
    ticket = await place.server.invite("for-a-shell", can={"shell"}, where=place.tcp.removeprefix("tcp://"))
    async with machine(place):
        for address in (place.tcp, ticket):
            async with tieline.connect(address) as peer:
                for method, (_, params) in ON_MACHINES.items():
                    code = await asked(peer, f"an-admin/box/{method}", params(str(place.folder / "mark")))
                    assert code in (REFUSED, "not_found"), (address == ticket, method, code)
        origin = ["an-admin", "box", ["admin", "shell"], "native", False]
        for name in ("an-admin/box/shell.run", "/shell.run", "box/shell.run", "an-admin/box//shell.run"):
            for more in ([], [None, False], [None, False, origin]):
                forger = await asyncio.to_thread(Forger, place.tcp)
                call = [name, ON_MACHINES["shell.run"][1](str(place.folder / "mark")), *more]
                await asyncio.to_thread(forger.send, _CALL, 1, call)
                answer = await asyncio.to_thread(forger.rest)
                assert b"denied" in answer or b"not_found" in answer or b"protocol" in answer, (name, more, answer)
    assert place.marks == set()
    assert not list((place.folder.parent / "share").rglob("*mark*"))


async def test_every_method_for_a_shell_is_in_the_table(place: Place) -> None:
    offered = {handler.name: handler.scope for handler in place.server.handlers}
    mine = {name: scope for name, scope in offered.items() if name.startswith(("shell.", "audit."))}
    judged_inside = {"shell.rule", "audit.begun", "audit.ended"}  # by who it is: machines may
    assert mine == {name: None if name in judged_inside else OPERATIONS[name][0] for name in mine}


async def test_guests_and_tickets_reach_none_of_it(place: Place) -> None:
    ticket = await place.server.invite("for-a-shell", can={"shell"}, where=place.tcp.removeprefix("tcp://"))
    for address in (place.tcp, ticket):
        async with tieline.connect(address) as peer:
            for method, (scope, params) in OPERATIONS.items():
                if scope in ("shell", "admin") or address == ticket:
                    assert await asked(peer, method, params(str(place.folder / "mark"))) == REFUSED, method
    assert place.marks == set()


async def test_a_machine_reports_only_of_those_who_called_it(place: Place) -> None:
    entry = {**dict.fromkeys(BEGUN, "x"), "account": "an-admin", "argv": ["rm"], "at": 0}
    handlers = tieline.Handlers()
    handlers.add(lambda: None, "shell.nothing")
    async with tieline.connect(place.tcp, **place.credential("for chat")) as peer:
        with pytest.raises(Denied):
            await peer.serve(handlers)
    async with tieline.connect(place.tcp, **place.credential("for a shell")) as peer:
        await peer.serve(handlers)
        for method, params in (("audit.begun", {"entry": entry}), ("shell.rule", {"account": "an-admin"})):
            with pytest.raises(Denied):
                await peer.call(method, **params)
    async with tieline.connect(place.tcp, **place.credential("an admin")) as admin:
        assert await admin.call("audit.list") == []


async def test_http_offers_no_way_to_it(place: Place) -> None:
    host, _, port = place.tcp.removeprefix("tcp://").rpartition(":")
    for target in ("/rpc", "/shell.run", "/shell/run", "/call/shell.run", "/openrpc.json"):
        body = json.dumps({"method": "shell.run", "params": OPERATIONS["shell.run"][1](str(place.folder / "http"))})
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            f"POST {target} HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            f"{body}".encode()
        )
        answer = await asyncio.wait_for(reader.read(), 30)
        assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 405", b"HTTP/1.1 401", b"HTTP/1.1 403")), answer
        writer.close()
    assert place.marks == set()


# -- forged frames ---------------------------------------------------------------------------------------------------

_HEADER = struct.Struct("!IBI")
_HELLO, _AUTH, _CALL, _RESULT, _ITEM, _DATA, _EVENT = 1, 2, 4, 5, 7, 8, 12


class Forger:
    """A guest with a bare socket, who sends what no client of ours would."""

    def __init__(self, address: str) -> None:
        host, _, port = address.removeprefix("tcp://").rpartition(":")
        self._sock = socket.create_connection((host, int(port)), timeout=30)
        self._sock.sendall(b"\xf7tieline/1\n")
        self.send(_HELLO, 0, [[1], "forger", 1 << 20, 1 << 18])
        self.send(_AUTH, 0, ["ANONYMOUS", b"forger"])

    def send(self, kind: int, channel: int, value: Any) -> None:
        payload = msgspec.msgpack.encode(value)
        self._sock.sendall(_HEADER.pack(len(payload), kind, channel) + payload)

    def rest(self) -> bytes:
        """What the server says until it hangs up, or has nothing more to say."""
        said = bytearray()
        self._sock.settimeout(0.3)
        with suppress(OSError):
            while data := self._sock.recv(1 << 16):
                said += data
        self._sock.close()
        return bytes(said)


async def test_no_forged_frame_runs_anything(place: Place) -> None:
    def params(name: str) -> Params:
        return OPERATIONS["shell.run"][1](str(place.folder / name))

    origin = ["an-admin", "box", ["admin", "shell"], "native", False]
    frames = [
        # as somebody else, by the fields that only a server may fill in
        (_CALL, 1, ["shell.run", params("a"), None, False, origin]),
        (_CALL, 1, ["/shell.run", params("b"), None, False, origin]),
        (_CALL, 1, ["an-admin/box/shell.run", params("c"), None, False, origin]),
        (_CALL, 1, ["server/shell.run", params("d")]),
        (_CALL, 1, [" shell.run", params("e")]),
        (_CALL, 1, ["shell.run\0", params("f")]),
        (_CALL, 1, ["SHELL.RUN", params("g")]),
        # by kinds that are no calls
        (_EVENT, 0, ["shell.run", 1, params("h")]),
        (_ITEM, 1, ["shell.run", params("i")]),
        (_RESULT, 1, params("j")),
        (_CALL, 0, ["shell.run", params("k")]),
        (_CALL, 2, ["shell.run", params("l")]),
        (_CALL + 64, 1, ["shell.run", params("m")]),
    ]
    for kind, channel, value in frames:
        forger = await asyncio.to_thread(Forger, place.tcp)
        await asyncio.to_thread(forger.send, kind, channel, value)
        said = await asyncio.to_thread(forger.rest)
        assert b"denied" in said or b"not_found" in said or b"protocol" in said, (kind, value, said)
    # and before there is a login at all
    host, _, port = place.tcp.removeprefix("tcp://").rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    call = msgspec.msgpack.encode(["shell.run", params("n")])
    writer.write(b"\xf7tieline/1\n" + _HEADER.pack(len(call), _CALL, 1) + call)
    await asyncio.wait_for(reader.read(), 30)
    writer.close()
    assert place.marks == set()


# -- narrower than the scope -----------------------------------------------------------------------------------------


async def test_an_account_narrowed_to_programs_runs_these_and_no_others(place: Place) -> None:
    async with tieline.connect(place.tcp, **place.credential("an admin")) as admin:
        await admin.call("shell.narrow", account="for-a-shell", commands=["echo", "/bin/cat"])
        with pytest.raises(NotFound):
            await admin.call("shell.narrow", account="For-a-shell", commands=["echo"])
    impostor = place.folder / "echo"
    impostor.write_text("#!/bin/sh\necho impostor\n")
    impostor.chmod(0o755)
    async with tieline.connect(place.tcp, **place.credential("for a shell")) as peer:
        run = commands.run
        assert (await run(peer, ["echo", "it", "runs"])).stdout == b"it runs\n"
        assert (await run(peer, ["cat"], input=b"it too")).stdout == b"it too"
        assert (await run(peer, ["echo", "here"], cwd=str(place.folder))).stdout == b"here\n"
        for argv in (["touch", "x"], ["sh", "-c", "echo x"], ["./echo"], [str(impostor)], ["/bin/../bin/touch", "x"]):
            with pytest.raises(Denied):
                await run(peer, argv, cwd=str(place.folder))
        with pytest.raises(Denied):
            await peer.call("shell.open")
        for name in ("PATH", "LD_PRELOAD", "PYTHONPATH", "BASH_ENV", "ENV", "IFS", "LD_LIBRARY_PATH", "PERL5LIB"):
            with pytest.raises(Denied, match=name):
                await run(peer, ["echo"], env={name: str(place.folder)})
        for name in ("GIT_SSH_COMMAND", "HOME", "EDITOR"):
            with pytest.raises(Denied, match=name):
                await run(peer, ["echo"], env={name: "x"})
        assert (await run(peer, ["echo"], env={"TZ": "UTC", "LC_ALL": "C"})).code == 0
        with pytest.raises((InvalidArgument, NotFound)):
            await run(peer, ["echo\0x"])
    assert place.marks == {"echo"}


async def test_an_account_narrowed_to_other_machines_runs_nothing_here(place: Place) -> None:
    async with tieline.connect(place.tcp, **place.credential("an admin")) as admin:
        await admin.call("shell.narrow", account="for-a-shell", targets=["lab-*"])
    async with tieline.connect(place.tcp, **place.credential("for a shell")) as peer:
        with pytest.raises(Denied):
            await commands.run(peer, ["touch", str(place.folder / "x")])
        with pytest.raises(Denied):
            await peer.call("shell.open", argv=["touch", str(place.folder / "x")])
    assert place.marks == set()


async def test_what_ran_is_in_the_audit_without_its_input_and_environment(place: Place) -> None:
    async with tieline.connect(place.tcp, **place.credential("for a shell")) as peer:
        await commands.run(peer, ["cat"], input=b"a secret word", env={"TOKEN": "another secret"})
        await commands.run(peer, ["sh", "-c", "kill -9 $$"])
        entries = []
        while len(entries) < 2 or not all(entry["outcome"] for entry in entries):
            entries = await peer.call("audit.list")
    last, first = entries
    assert (first["begun"]["argv"], first["outcome"], first["out"]) == (["cat"], "exit 0", 13)
    assert (last["begun"]["account"], last["begun"]["device"], last["outcome"]) == ("for-a-shell", "box", "SIGKILL")
    assert "secret" not in json.dumps(entries)
    async with tieline.connect(place.tcp, **place.credential("for chat")) as other:
        assert await other.call("audit.list") == []


async def test_taken_back_on_a_live_link_it_is_denied_at_once(place: Place) -> None:
    async with tieline.connect(place.tcp, **place.credential("for a shell")) as peer:
        assert (await commands.run(peer, ["echo"])).code == 0
        async with tieline.connect(place.tcp, **place.credential("an admin")) as admin:
            await admin.call("accounts.allow", account="for-a-shell", can=["chat"])
        with pytest.raises((Denied, LinkError, LoginError)):
            await commands.run(peer, ["touch", str(place.folder / "x")])
        with pytest.raises(TielineError):
            await commands.run(peer, ["touch", str(place.folder / "y")])
    assert ENROL not in CALLERS
    assert place.marks == set()
