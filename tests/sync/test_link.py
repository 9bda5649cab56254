"""Blocking links: the same as the asynchronous ones, for programs that are not async."""

import io
import socket
import threading

import pytest
from tests.ports import free_port

import tieline
import tieline.sync
from tieline.errors import ConfigError, DeadlineExceeded, DialFailed, LinkClosed


@pytest.fixture
def echo_port():
    """A learner's echo server: one thread for each caller, the socket module only."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(sock):
        with sock:
            while data := sock.recv(65536):
                sock.sendall(data)

    def accept():
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            threads.append(threading.Thread(target=answer, args=(sock,)))
            threads[-1].start()

    threads = [threading.Thread(target=accept)]
    threads[0].start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    for thread in threads:
        thread.join(10)


def test_messages_there_and_back(echo_port):
    with tieline.sync.dial(f"tcp://127.0.0.1:{echo_port}", codec=tieline.Lines()) as link:
        for word in ("one", "", "three"):
            link.send(word)
        assert [link.receive() for _ in range(3)] == ["one", "", "three"]
        assert link.is_open
        assert link.peer == f"127.0.0.1:{echo_port}"
        link.finish()
        assert list(link) == []
        assert link.end == "the peer closed the link"
    with pytest.raises(LinkClosed):
        link.send("late")


def test_a_timeout_loses_nothing_and_the_codec_may_change(echo_port):
    with tieline.sync.dial(f"tcp://127.0.0.1:{echo_port}", codec=tieline.LengthPrefixed()) as link:
        with pytest.raises(DeadlineExceeded, match=r"nothing within 0\.05 s"):
            link.receive(timeout=0.05)
        link.send(b"message")
        assert link.receive(timeout=5) == b"message"
        link.codec = tieline.Raw()
        link.send(b"head and the rest")
        assert link.receive_exactly(4) == b"head"
        assert link.receive_exactly(13) == b" and the rest"
        with pytest.raises(ConfigError, match="codec"):
            link.codec = tieline.Lines


def test_files(echo_port, tmp_path):
    path, back = tmp_path / "file", io.BytesIO()
    path.write_bytes(bytes(range(256)) * 4000)
    with tieline.sync.dial(f"tcp://127.0.0.1:{echo_port}") as link:
        sender = threading.Thread(target=_send, args=(link, path))
        sender.start()
        link.receive_into(back, 256 * 4000)
        sender.join()
    assert back.getvalue() == path.read_bytes()


def _send(link, path):
    with path.open("rb") as file:
        assert link.send_file(file) == 256 * 4000


def test_an_error_in_the_block_closes_the_link_and_nobody_there_is_said(echo_port):
    with pytest.raises(ZeroDivisionError), tieline.sync.dial(f"tcp://127.0.0.1:{echo_port}") as link:
        1 / 0  # noqa: B018
    assert not link.is_open
    assert repr(link).startswith("<tieline.sync <Link closed tcp")
    with pytest.raises(DialFailed, match="nobody listens"), tieline.sync.dial(f"tcp://127.0.0.1:{free_port()}"):
        pass


def test_what_a_link_can_do_a_blocking_one_can_do(echo_port):
    with tieline.sync.dial(f"tcp://127.0.0.1:{echo_port}") as link:
        link.set_no_delay(False)
        link.send(b"kept together")
        assert link.receive_exactly(13, timeout=10) == b"kept together"
        link.close("enough said")
        assert not link.is_open
        assert link.end == "enough said"
