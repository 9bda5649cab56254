"""Endpoints: one spelling for one machine."""

import pytest

from tieline.transports.endpoint import host_of, is_loopback


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
