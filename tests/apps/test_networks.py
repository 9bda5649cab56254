"""Where other machines find this one."""

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
