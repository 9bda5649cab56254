import os
import socket
import stat

import pytest

from tieline.errors import AddressError
from tieline.transports.endpoint import peer_uid
from tieline.transports.unix import PATH_MAX, SocketFile, listen_unix


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # pytest's own folders may be longer than a socket's path can be
    return "tie.sock"


def test_only_the_owner_may_connect_unless_told_otherwise(path):
    with listen_unix(path):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    os.unlink(path)
    with listen_unix(path, mode=0o660):
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660


def test_the_socket_file_of_a_dead_server_is_replaced(path):
    listen_unix(path).close()
    assert os.path.exists(path)
    with listen_unix(path) as server, socket.socket(socket.AF_UNIX) as caller:
        caller.connect(path)
        assert server.accept()[0].close() is None


def test_the_socket_file_of_a_living_server_is_left_alone(path):
    with listen_unix(path), pytest.raises(AddressError, match="held by another server"):
        listen_unix(path)
    assert os.path.exists(path)


def test_a_living_server_whose_backlog_is_full_counts_as_living(path):
    with listen_unix(path, backlog=0), socket.socket(socket.AF_UNIX) as first:
        first.connect(path)
        with pytest.raises(AddressError, match="held by another server"):
            listen_unix(path)


@pytest.mark.parametrize("make", [lambda path: open(path, "w").close(), os.mkdir, lambda path: os.symlink("x", path)])
def test_anything_that_is_no_socket_is_never_removed(path, make):
    make(path)
    with pytest.raises(AddressError, match="no socket"):
        listen_unix(path)
    assert os.path.lexists(path)


def test_a_path_too_long_is_told_with_its_length_and_the_limit(path):
    with pytest.raises(AddressError, match=f"{PATH_MAX + 1} bytes, the system allows {PATH_MAX}"):
        listen_unix("x" * (PATH_MAX + 1))
    listen_unix("x" * PATH_MAX).close()


def test_a_folder_that_is_not_there_is_told(path):
    with pytest.raises(AddressError, match="No such file"):
        listen_unix("missing/tie.sock")


def test_a_server_removes_its_own_socket_file_and_not_its_successors(path):
    with listen_unix(path) as first:
        file = SocketFile.of(first)
    with listen_unix(path) as second:
        file.remove()
        assert os.path.exists(path)
        SocketFile.of(second).remove()
        assert not os.path.exists(path)


def test_the_user_of_a_caller_is_known(path):
    with listen_unix(path) as server, socket.socket(socket.AF_UNIX) as caller:
        caller.connect(path)
        accepted, _ = server.accept()
        with accepted:
            assert peer_uid(accepted) == os.getuid()
