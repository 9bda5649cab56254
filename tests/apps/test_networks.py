"""Where other machines find this one."""

import socket
from ipaddress import ip_interface

import pytest

from tieline.apps import networks


def test_own_addresses_are_such_as_others_can_use() -> None:
    for interface in networks.own_interfaces():
        assert not interface.ip.is_loopback
        assert not interface.ip.is_link_local
        assert networks.is_ours(str(interface.ip))


def test_each_address_is_told_once() -> None:
    addresses = [interface.ip for interface in networks.own_interfaces()]
    assert len(addresses) == len(set(addresses))


def test_a_neighbour_is_in_our_network_and_a_stranger_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    lan = ip_interface("192.168.7.2/24")
    monkeypatch.setattr(networks, "own_interfaces", lambda: [lan])
    assert networks.network_of("192.168.7.99") == lan
    assert networks.network_of("192.168.8.99") is None
    assert networks.network_of("2001:db8::1") is None
    assert networks.is_ours("127.0.0.1")
    assert not networks.is_ours("192.168.7.99")


def test_a_system_that_tells_nothing_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for source in ("_linux_ipv4", "_linux_ipv6", "_default_route"):
        monkeypatch.setattr(networks, source, lambda: iter(()))
    assert networks.own_interfaces() == []


@pytest.mark.parametrize(
    ("known", "place"), [(["127.0.1.1"], "192.168.7.2"), (["192.168.7.2"], "lab"), (None, "192.168.7.2")]
)
def test_a_name_that_only_this_machine_knows_leads_nobody_here(
    known: list[str] | None, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_up(host: str, port: None) -> list[tuple[object, ...]]:
        if known is None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (address, 0)) for address in known]

    monkeypatch.setattr(networks, "own_interfaces", lambda: [ip_interface("192.168.7.2/24")])
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert networks.place_for_others("lab") == place
