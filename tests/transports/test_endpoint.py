"""Endpoints: one spelling for one machine."""

import asyncio
import socket

import pytest

from tieline.transports.endpoint import Endpoint, Place, endpoint_of, host_of, is_loopback, shown


@pytest.mark.parametrize(
    ("place", "host"),
    [
        (("192.0.2.7", 80), "192.0.2.7"),
        (("::ffff:192.0.2.7", 80, 0, 0), "192.0.2.7"),
        (("::ffff:c000:207", 80, 0, 0), "192.0.2.7"),
        (("fe80::1%eth0", 80, 0, 2), "fe80::1"),
        (("::1", 80, 0, 0), "::1"),
        ("/run/x.sock", ""),
        (None, ""),
    ],
)
def test_an_ipv4_caller_of_a_dual_stack_socket_is_known_by_its_ipv4_address(place: object, host: str) -> None:
    assert host_of(place) == host


@pytest.mark.parametrize(
    ("host", "yes"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("192.0.2.7", False), ("localhost", False)],
)
def test_only_addresses_of_this_machine_are_loopback(host: str, yes: bool) -> None:
    assert is_loopback(host) is yes


@pytest.mark.parametrize(
    ("place", "text"),
    [
        (("127.0.0.1", 5), "127.0.0.1:5"),
        (("::ffff:127.0.0.1", 5, 0, 0), "127.0.0.1:5"),
        (("::ffff:c000:207", 5, 0, 0), "192.0.2.7:5"),
        (("::1", 5, 0, 0), "[::1]:5"),
        (("fe80::1%eth0", 5, 0, 2), "[fe80::1%eth0]:5"),
        (None, ""),
    ],
)
def test_a_place_is_shown_as_people_write_it(place: Place | None, text: str) -> None:
    assert shown(place) == text


async def test_an_ipv4_caller_of_a_dual_stack_socket_is_shown_by_its_ipv4_address() -> None:
    seen: asyncio.Future[Endpoint] = asyncio.get_running_loop().create_future()

    class Looking(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            seen.set_result(endpoint_of(transport, None))
            transport.close()

    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listening:
        server = await asyncio.get_running_loop().create_server(Looking, sock=listening)
        async with server:
            with socket.create_connection(("127.0.0.1", listening.getsockname()[1])) as caller:
                endpoint = await seen
                assert endpoint.remote == f"127.0.0.1:{caller.getsockname()[1]}"
                assert endpoint.host == "127.0.0.1"
