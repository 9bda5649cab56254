"""`tieline gallery welcome` and callers with bare sockets."""

import pytest


@pytest.fixture(scope="module")
def welcome(gallery):
    return gallery("welcome", "--greeting", "欢迎 friend")


def everything(client) -> bytes:
    data = b""
    while piece := client.recv(1024):
        data += piece
    return data


def test_a_learners_client_is_greeted_by_one_line(welcome, call):
    assert everything(call(welcome)).decode() == "欢迎 friend\n"


def test_who_talks_instead_of_listening_is_greeted_too(welcome, call):
    client = call(welcome)
    client.sendall(b"x" * 100_000)
    assert everything(client).decode() == "欢迎 friend\n"


def test_who_vanishes_harms_nobody(welcome, call, vanish):
    for _ in range(20):
        vanish(call(welcome))
    assert everything(call(welcome)).decode() == "欢迎 friend\n"


def test_a_hundred_at_once(welcome, call, at_once):
    assert at_once(lambda _: everything(call(welcome)).decode()) == ["欢迎 friend\n"] * 100
