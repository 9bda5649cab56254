import errno
import os
import socket

import pytest

from tieline.errors import AddressError
from tieline.transports.sockets import KeepAlive, SocketOptions, listen_tcp, round_trip


@pytest.fixture
def listening():
    opened = []

    def listen(*args, **options):
        opened.extend(sockets := listen_tcp(*args, **options))
        return sockets

    yield listen
    for sock in opened:
        sock.close()


def port_of(sockets):
    return sockets[0].getsockname()[1]


def test_an_empty_host_is_reached_by_ipv4_and_ipv6_on_one_port(listening):
    sockets = listening("", 0)
    for host in ("127.0.0.1", "::1") if socket.has_dualstack_ipv6() else ("127.0.0.1",):
        with socket.create_connection((host, port_of(sockets)), timeout=2):
            pass


def test_a_name_with_several_addresses_listens_on_one_port_on_all_of_them(listening):
    sockets = listening("localhost", 0)
    assert len({sock.getsockname()[1] for sock in sockets}) == 1
    assert all(not sock.getblocking() for sock in sockets)


def test_a_port_in_use_is_named_with_who_holds_it_and_what_to_do(listening):
    port = port_of(listening("127.0.0.1", 0))
    with pytest.raises(AddressError) as caught:
        listening("127.0.0.1", port)
    assert str(port) in str(caught.value)
    assert f"try --listen :{port + 1}" in str(caught.value)
    if os.path.exists("/proc/net/tcp"):
        assert f"pid {os.getpid()}" in str(caught.value)


def test_an_address_of_another_machine_is_refused_in_words(listening):
    with pytest.raises(AddressError, match="is not an address of this machine"):
        listening("192.0.2.1", 0)


def test_an_unknown_name_is_refused_in_words(listening, monkeypatch):
    def unknown(*args, **options):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(AddressError, match="the name nowhere is not known"):
        listening("nowhere", 0)


def test_a_port_below_1024_is_explained_to_ordinary_users(listening, monkeypatch):
    def refuse(self, where):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket.socket, "bind", refuse)
    with pytest.raises(AddressError, match="try --listen :7788"):
        listening("127.0.0.1", 80)


def test_a_name_whose_ipv6_address_is_missing_listens_on_the_other(listening, monkeypatch):
    places = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("2001:db8::1", 0, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **options: places)
    assert [sock.family for sock in listening("lab", 0)] == [socket.AF_INET]


def test_accepted_sockets_inherit_every_option_of_the_listening_one(listening):
    options = SocketOptions(keep_alive=KeepAlive(idle=11, interval=7, count=3), receive_buffer=32768, send_buffer=32768)
    sockets = listening("127.0.0.1", 0, options=options)
    with socket.create_connection(sockets[0].getsockname(), timeout=2):
        sockets[0].setblocking(True)
        accepted, _ = sockets[0].accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            if hasattr(socket, "TCP_KEEPIDLE"):
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 11
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 7
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) in (32768, 65536)  # Linux doubles it


def test_the_round_trip_is_known_on_linux_and_only_for_tcp(listening):
    sockets = listening("127.0.0.1", 0)
    with socket.create_connection(sockets[0].getsockname(), timeout=2) as caller:
        micros = round_trip(caller)
        assert micros is None or 0 < micros < 1_000_000
    with socket.socket(socket.AF_UNIX) as other:
        assert round_trip(other) is None
