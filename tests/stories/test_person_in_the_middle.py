"""Somebody in between, with a certificate of their own, relays every byte: they learn nothing and get nowhere."""

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

import tieline
from tieline.transports.certificate import make_certificate
from tieline.transports.tls import client_context, server_context
from tieline.wire.frames import HEADER, PREFACE, Kind

from .conftest import Machines
from .machines import Machine, ServerProcess, login


class Middle:
    """Shows callers its own certificate and passes on what they say, over TLS or plain; `heard` it all, both ways."""

    def __init__(self, port: int, onwards: ssl.SSLContext | None) -> None:
        certificate, key = make_certificate(["localhost"])
        self.pin = hashlib.sha256(ssl.PEM_cert_to_DER_cert(certificate.decode())).hexdigest()
        self.port = 0
        self.from_victim = b""
        self.from_server = b""
        self._context = server_context(certificate, key)
        self._onwards = onwards
        self._target = port
        self._relaying: set[asyncio.Task[None]] = set()

    @property
    def kinds(self) -> tuple[list[Kind], list[Kind]]:
        """The frames it understood: the victim's, the server's."""
        return frames(self.from_victim), frames(self.from_server)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["Middle"]:
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in list(self._relaying):
                task.cancel()
            await asyncio.gather(*self._relaying, return_exceptions=True)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._relaying.add(task)
        name = "localhost" if self._onwards else None
        far_reader, far_writer = await asyncio.open_connection(
            "127.0.0.1", self._target, ssl=self._onwards, server_hostname=name
        )
        try:
            await asyncio.gather(self._pass_on(reader, far_writer), self._pass_back(far_reader, writer))
        finally:
            writer.close()
            far_writer.close()
            self._relaying.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                self.from_victim += data
                writer.write(data)
        writer.close()

    async def _pass_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(1 << 16):
                self.from_server += data
                writer.write(data)
        writer.close()


def frames(data: bytes) -> list[Kind]:
    assert data.startswith(PREFACE) or not data
    data, found = data[len(PREFACE) :], []
    while data:
        size, kind, _ = HEADER.unpack_from(data)
        found.append(Kind(kind))
        data = data[HEADER.size + size :]
    return found


async def joined(machine: Machine, owner: Machine) -> dict[str, str]:
    await machine.out("join", (await owner.out("invite", "ada")).strip())
    return login(machine.profile())


async def test_who_has_the_right_pin_says_not_a_byte(server: ServerProcess, owner: Machine, machines: Machines) -> None:
    who = await joined(machines("ada"), owner)
    async with Middle(server.port, client_context("relay")).listening() as middle:
        who["address"] = f"tls://127.0.0.1:{middle.port}"
        with pytest.raises(tieline.PinMismatch, match="Either somebody is in between") as refused:
            async with tieline.connect(**who):
                pass
        assert (refused.value.expected, refused.value.got) == (who["pin"], middle.pin)
        code, _, said = await machines("ada").run("rooms", "--server", who["address"], "--profile", "default")
        assert code == 4
        assert "another certificate than the one you trust" in said
    assert middle.from_victim == b""


async def test_who_was_talked_into_the_wrong_pin_is_not_let_in_by_the_server(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    who = await joined(machines("ada"), owner)
    async with Middle(server.port, client_context("relay")).listening() as middle:
        tricked = {**who, "address": f"tls://127.0.0.1:{middle.port}", "pin": middle.pin}
        with pytest.raises(tieline.LoginFailed):
            async with tieline.connect(**tricked):
                pass
    victim, server_said = middle.kinds
    assert victim == [Kind.HELLO, Kind.AUTH, Kind.AUTH]  # it went as far as the proofs, and those name the certificate
    assert server_said == [Kind.HELLO, Kind.AUTH, Kind.GOAWAY]
    assert bytes.fromhex(who["key"]) not in middle.from_victim
    assert who["key"].encode() not in middle.from_victim
    async with tieline.connect(**who) as peer:  # who connects directly is not held responsible
        assert await peer.call("echo.upper", text="in") == "IN"


async def test_a_ticket_with_a_wrong_pin_is_neither_spent_nor_seen(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    ticket = (await owner.out("invite", "ada")).strip()
    pin, secret = ticket.partition("pin=")[2].split("#")
    async with Middle(server.port, client_context("relay")).listening() as middle:
        forged = ticket.replace(pin, middle.pin).replace(f":{server.port}", f":{middle.port}")
        code, _, said = await machines("ada").run("join", forged)
        assert code == 4
        assert said.count("\n") == 1
    assert Kind.WELCOME not in middle.kinds[1]
    assert secret.partition("-")[2].encode() not in middle.from_victim
    await machines("ada").out("join", ticket)


async def test_a_login_is_not_made_weaker_by_unwrapping_it(
    server: ServerProcess, owner: Machine, machines: Machines
) -> None:
    """To the server it looks like a plain caller of its own machine, who is offered SCRAM without a binding."""
    who = await joined(machines("ada"), owner)
    async with Middle(server.port, None).listening() as middle:
        tricked = {**who, "address": f"tls://127.0.0.1:{middle.port}", "pin": middle.pin}
        with pytest.raises(tieline.LoginFailed, match="somebody may be in between, so nothing was sent"):
            async with tieline.connect(**tricked):
                pass
    assert middle.kinds[0] == [Kind.HELLO]
