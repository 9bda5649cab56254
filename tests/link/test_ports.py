"""Where a server listens: one set of routes behind any number of ports."""

import asyncio
import socket

import pytest
from tests.link.conftest import echoes

from tieline.errors import AddressError, ConfigError
from tieline.link.ports import Ports
from tieline.transports.address import parse


async def said(*, host=None, port=None, path=None):
    """What comes in answer to a native preface."""
    opened = asyncio.open_unix_connection(path) if path else asyncio.open_connection(host, port)
    reader, writer = await opened
    writer.write(b"\xf7tieline/1\n")
    answer = await asyncio.wait_for(reader.readexactly(len(b"native:")), 5)
    writer.close()
    await writer.wait_closed()
    return answer


async def test_every_port_leads_to_the_same_routes(certificate, tmp_path):
    ports = Ports(echoes([]), certificate.context)
    (network,) = await ports.open(parse("tcp://127.0.0.1:0"))
    (file,) = await ports.open(parse(f"unix:{tmp_path}/socket"))
    assert file == f"unix:{tmp_path}/socket"
    port = parse(network).port
    assert port, "the one the system chose"
    assert await said(host="127.0.0.1", port=port) == b"native:"
    assert await said(path=f"{tmp_path}/socket") == b"native:"
    await ports.close()
    await ports.close()
    with pytest.raises(OSError, match=r"refused|failed"):
        await said(host="127.0.0.1", port=port)
    assert not (tmp_path / "socket").exists()


async def test_a_ticket_names_the_first_port_that_others_can_reach(certificate, tmp_path):
    ports = Ports(echoes([]), certificate.context)
    await ports.open(parse(f"unix:{tmp_path}/socket"))
    with pytest.raises(ConfigError, match="no network address"):
        ports.reachable()
    (everywhere,) = await ports.open(parse(":0"))
    await ports.open(parse("tcp://127.0.0.1:0"))
    assert ports.reachable() == f"{socket.gethostname()}:{parse(everywhere).port}"
    await ports.close()


async def test_a_port_that_is_taken_leaves_the_others_as_they_are(certificate):
    ports = Ports(echoes([]), certificate.context)
    (first,) = await ports.open(parse("tcp://127.0.0.1:0"))
    with pytest.raises(AddressError, match="in use"):
        await ports.open(parse(first))
    assert len(ports.listeners) == 1
    await ports.close()
