"""Datagrams for blocking programs."""

import socket
import threading

import pytest

import tieline

ANY = "udp://127.0.0.1:0"


def test_a_server_and_a_client_without_asyncio():
    with (
        tieline.sync.datagrams(ANY, lambda message, sender: message.upper()) as server,
        tieline.sync.datagrams(to=server.address) as client,
    ):
        assert client.request(b"hello", timeout=5) == b"HELLO"
        assert client.request(b"") == b""
        assert server.counts.answered == 2


def test_a_loop_over_messages_ends_with_the_endpoint():
    with tieline.sync.datagrams(ANY) as endpoint, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as caller:
        place = endpoint.sockets[0].getsockname()
        caller.settimeout(5)
        got = []

        def serve():
            for message, sender in endpoint:
                got.append(message)
                endpoint.send(message[::-1], sender)

        serving = threading.Thread(target=serve)
        serving.start()
        for message in (b"abc", b"", b"def"):
            caller.sendto(message, place)
            assert caller.recv(100) == message[::-1]
        endpoint.close()
        serving.join(5)
        assert not serving.is_alive()
        assert got == [b"abc", b"", b"def"]
        assert not endpoint.is_open


def test_nothing_within_the_time():
    with tieline.sync.datagrams(ANY) as endpoint:
        with pytest.raises(tieline.DeadlineExceeded, match=r"within 0\.01 s"):
            endpoint.receive(timeout=0.01)
        assert "tieline.sync <Datagrams udp://127.0.0.1" in repr(endpoint)


def test_sealed():
    keys = tieline.Keyring()
    key = keys.issue("ada")
    with (
        tieline.sync.datagrams(ANY, key=keys) as server,
        tieline.sync.datagrams(to=server.address, key=key) as client,
    ):
        client.send(b"hello")
        message, sender = server.receive(timeout=5)
        assert message == b"hello"
        assert server.owner(sender) == "ada"


def test_a_mistake_is_named():
    with pytest.raises(tieline.ConfigError, match="address"), tieline.sync.datagrams():
        pass
