"""Which server a command talks to, without being told and when told."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tieline import profiles
from tieline.apps.cli.options import Where
from tieline.apps.cli.target import Target, answers, choose, local_socket
from tieline.errors import AddressError, ConfigError
from tieline.profiles import Profile

ADA = Profile(address="tls://lab:7788", account="ada", device="laptop", key="k", pin="ab" * 32)
BOB = Profile(address="tls://attic:7788", account="bob", device="laptop", key="k", pin="cd" * 32)


@pytest.fixture(autouse=True)
def nothing_of_this_user(config_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIELINE_DATA", str(tmp_path))
    monkeypatch.delenv("TIELINE_PROFILE", raising=False)


@pytest.fixture
def server_here(nothing_of_this_user: None) -> Iterator[str]:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(local_socket()))
        listening.listen()
        yield f"unix:{local_socket()}"


def test_a_server_running_here_comes_first(server_here: str) -> None:
    profiles.write("default", ADA)
    assert choose(Where()) == Target(server_here)


def test_a_named_profile_beats_a_server_running_here(server_here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    profiles.write("lab", ADA)
    profiles.write("attic", BOB)
    assert choose(Where(profile="lab")).profile == ADA
    monkeypatch.setenv("TIELINE_PROFILE", "attic")
    assert choose(Where()).profile == BOB
    assert choose(Where(profile="lab")).profile == ADA


def test_without_a_server_here_it_is_the_default_profile() -> None:
    profiles.write("default", ADA)
    assert choose(Where()) == Target("tls://lab:7788", ADA)


def test_a_socket_left_behind_is_no_server() -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(local_socket()))
    assert not answers(local_socket())
    profiles.write("default", ADA)
    assert choose(Where()).profile == ADA


def test_with_nothing_at_all_it_says_what_to_type() -> None:
    with pytest.raises(ConfigError, match="`tieline serve`, or `tieline join TICKET`"):
        choose(Where())


def test_an_address_that_was_joined_is_visited_as_who_joined_it(server_here: str) -> None:
    profiles.write("default", ADA)
    profiles.write("attic", BOB)
    assert choose(Where(server="attic")) == Target("attic", BOB)
    assert choose(Where(server="tls://attic:7788")) == Target("tls://attic:7788", BOB)
    assert choose(Where(server="tls://elsewhere")) == Target("tls://elsewhere", None)
    assert choose(Where(server=server_here)) == Target(server_here, None)
    assert choose(Where(server="tls://moved:7788", profile="default")) == Target("tls://moved:7788", ADA)


def test_a_profile_nobody_made_is_named_with_those_there_are() -> None:
    profiles.write("attic", BOB)
    with pytest.raises(ConfigError, match="there is no 'lab'; there are attic"):
        choose(Where(profile="lab"))


def test_what_is_no_address_is_said() -> None:
    with pytest.raises(AddressError):
        choose(Where(server="http://lab"))
