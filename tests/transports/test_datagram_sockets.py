"""UDP sockets and their options, on the loopback interface."""

import errno
import socket

import pytest

from tieline.errors import AddressError, ConfigError, DialFailed
from tieline.transports import datagram_sockets
from tieline.transports.address import Address, parse
from tieline.transports.datagram_sockets import DatagramOptions, bound, numeric, place_of, towards
from tieline.transports.endpoint import shown


def at(text):
    return parse(text, scheme="udp")


@pytest.fixture
def opened():
    """`opened(sockets)` gives them back and closes them in the end."""
    kept = []

    def keep(sockets):
        kept.extend(sockets)
        return sockets

    yield keep
    for sock in kept:
        sock.close()


def listening(opened, text="udp://127.0.0.1:0", **options):
    [sock] = opened(bound(at(text), DatagramOptions(**options)))
    sock.settimeout(2)
    return sock, sock.getsockname()[1]


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
        return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not has_ipv6(), reason="there is no IPv6 on this machine's loopback interface")


def test_a_port_can_be_used_again_at_once(opened):
    sock, port = listening(opened)
    sock.sendto(b"to myself", sock.getsockname())
    sock.close()
    assert listening(opened, f"udp://127.0.0.1:{port}")[1] == port


def test_two_programs_do_not_share_a_port_and_the_second_is_told(opened):
    _, port = listening(opened)
    with pytest.raises(AddressError, match=f"udp port {port} is in use"):
        bound(at(f"udp://127.0.0.1:{port}"))


def test_every_address_is_one_socket_for_both_versions(opened):
    sock, port = listening(opened, "udp://:0")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        caller.sendto(b"four", ("127.0.0.1", port))
        message, sender = sock.recvfrom(100)
        assert message == b"four"
        assert shown(sender) == f"127.0.0.1:{caller.getsockname()[1]}"
        sock.sendto(b"back", sender)
        assert caller.recv(100) == b"back"
    if has_ipv6():
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as caller:
            caller.sendto(b"six", ("::1", port))
            assert sock.recv(100) == b"six"


@needs_ipv6
def test_an_ipv6_address_is_that_one_only(opened):
    sock, port = listening(opened, "udp://[::1]:0")
    assert sock.family == socket.AF_INET6
    listening(opened, f"udp://127.0.0.1:{port}")


def test_a_name_with_addresses_of_both_versions_is_a_socket_for_each_on_one_port(opened):
    sockets = opened(bound(at("udp://localhost:0")))
    assert len({sock.getsockname()[1] for sock in sockets}) == 1
    assert len({sock.family for sock in sockets}) == len(sockets)


def test_an_address_of_another_machine_is_refused_by_name():
    with pytest.raises(AddressError, match=r"192\.0\.2\.77 is not an address of this machine"):
        bound(at("udp://192.0.2.77:0"))


def test_a_name_nobody_knows_is_refused_by_name():
    with pytest.raises(AddressError, match=r"nowhere\.invalid is not known"):
        bound(at("udp://nowhere.invalid:0"))
    with pytest.raises(DialFailed, match=r"nowhere\.invalid is not known"):
        towards(at("udp://nowhere.invalid:1"), None)
    with pytest.raises(DialFailed, match=r"nowhere\.invalid is not known"):
        place_of("nowhere.invalid:1", socket.AF_INET)


def test_buffer_sizes_reach_the_kernel(opened):
    sock, _ = listening(opened, receive_buffer=50_000, send_buffer=40_000)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= 50_000
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= 40_000


# -- towards one place -------------------------------------------------------------------------------------------------


def test_a_socket_towards_one_place_hears_that_place_only(opened):
    server, port = listening(opened)
    sock, place = towards(at(f"udp://127.0.0.1:{port}"), None)
    [sock] = opened([sock])
    assert place == ("127.0.0.1", port)
    other, _ = listening(opened)
    other.sendto(b"from somebody else", sock.getsockname())
    server.sendto(b"from there", sock.getsockname())
    sock.settimeout(2)
    assert sock.recv(100) == b"from there"


def test_it_can_have_a_port_of_its_own(opened):
    _, port = listening(opened)
    probe, free = listening(opened)
    probe.close()
    sock, _ = towards(at(f"udp://127.0.0.1:{port}"), at(f"udp://127.0.0.1:{free}"))
    opened([sock])
    assert sock.getsockname() == ("127.0.0.1", free)


def test_towards_nobody_is_refused_by_name():
    with pytest.raises(AddressError, match="no host"):
        towards(Address(scheme="udp", port=1), None)


# -- broadcast and multicast -------------------------------------------------------------------------------------------


def test_broadcast_needs_to_be_said(opened):
    _, port = listening(opened, "udp://0.0.0.0:0")
    with pytest.raises(ConfigError, match="broadcast=True"):
        towards(at(f"udp://127.255.255.255:{port}"), None)


def test_a_broadcast_reaches_who_listens_on_that_network(opened):
    listener, port = listening(opened, "udp://0.0.0.0:0")
    sock, place = towards(at(f"udp://127.255.255.255:{port}"), None, DatagramOptions(broadcast=True))
    [sock] = opened([sock])
    try:
        sock.sendto(b"to all", place)
        assert listener.recv(100) == b"to all"
    except (TimeoutError, OSError) as error:
        pytest.skip(f"the loopback interface carries no broadcast here: {error}")


def loopback():
    names = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    return names[0] if names else ""


def group_pair(opened, group, home):
    """A member of the group, and a socket that sends to it, both on the loopback interface."""
    try:
        member, port = listening(opened, f"udp://{home}:0", multicast=group, interface=loopback())
        options = DatagramOptions(interface=loopback(), ttl=0, loop=True)
        host = f"[{group}]" if ":" in group else group
        sock, place = towards(at(f"udp://{host}:{port}"), None, options)
        opened([sock])
        sock.sendto(b"probe", place)
        assert member.recv(100) == b"probe"
    except OSError as error:
        pytest.skip(f"the loopback interface carries no multicast to {group} here: {error}")
    return member, sock, place


@pytest.mark.parametrize(("group", "home"), [("239.7.7.8", "*"), ("ff01::7788", "[::]")])
def test_a_group_is_heard_by_its_members(opened, group, home):
    member, sock, place = group_pair(opened, group, home)
    sock.sendto(b"to the group", place)
    assert member.recv(100) == b"to the group"


def test_several_members_share_a_port_and_all_hear(opened):
    member, sock, place = group_pair(opened, "239.7.7.8", "*")
    second, _ = listening(opened, f"udp://*:{place[1]}", multicast="239.7.7.8", interface=loopback())
    sock.sendto(b"to both", place)
    assert member.recv(100) == second.recv(100) == b"to both"


def test_a_group_that_another_program_joined_is_not_heard_here(opened):
    _, sock, place = group_pair(opened, "239.7.7.8", "*")
    other, _ = listening(opened, f"udp://*:{place[1]}", multicast="239.7.7.9", interface=loopback())
    sock.sendto(b"not for you", place)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        caller.sendto(b"for you", ("127.0.0.1", place[1]))
    # The last who took the port gets what is sent to it alone; so nothing came before.
    assert other.recv(100) == b"for you"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"multicast": "10.0.0.1"}, "multicast"),
        ({"multicast": "group"}, "multicast"),
        ({"multicast": "239.1.2.3", "interface": "eth77"}, "interface"),
        ({"interface": "eth77"}, "interface"),
        ({"ttl": 256}, "ttl"),
        ({"ttl": -1}, "ttl"),
    ],
)
def test_a_bad_option_is_named(options, named):
    with pytest.raises(ConfigError, match=f"^{named}: "):
        bound(at("udp://127.0.0.1:0"), DatagramOptions(**options))


@pytest.mark.parametrize("first", ["127.0.0.1", "192.0.2.1"], ids=["ours", "not of this machine"])
def test_a_name_with_two_addresses_of_one_version_gets_one_socket(monkeypatch, first):
    places = [(socket.AF_INET, (first, 0)), (socket.AF_INET, ("127.0.0.2", 0))]
    monkeypatch.setattr(datagram_sockets, "own_places", lambda *asked: places)
    (sock,) = bound(at("udp://localhost:0"))
    with sock:
        assert sock.getsockname()[0] == ("127.0.0.1" if first == "127.0.0.1" else "127.0.0.2")


# -- places ------------------------------------------------------------------------------------------------------------


def test_places_are_found():
    assert place_of("udp://127.0.0.1:5", socket.AF_INET) == ("127.0.0.1", 5)


def test_an_ipv4_place_for_a_socket_of_both_versions_is_written_its_way():
    assert numeric("127.0.0.1:5", socket.AF_INET6)[0] == "::ffff:127.0.0.1"
    assert numeric("localhost:5", socket.AF_INET6) is None


def test_errors_keep_what_the_system_said():
    with pytest.raises(AddressError) as caught:
        bound(at("udp://192.0.2.77:0"))
    assert caught.value.__cause__.errno == errno.EADDRNOTAVAIL
