"""Whose a process is, decided from a table."""

import os
import resource
from collections.abc import Callable, Iterator

import pytest

from tieline.processes import family
from tieline.processes.family import members

pytestmark = pytest.mark.skipif(not family.READABLE, reason="needs /proc")


_mark = family._mark


@pytest.fixture(autouse=True)
def marks(monkeypatch: pytest.MonkeyPatch) -> dict[int, str]:
    known: dict[int, str] = {}
    monkeypatch.setattr(family, "_mark", lambda pid: known.get(pid, ""))
    return known


def test_the_session_the_group_and_their_children_are_its() -> None:
    living = {10: (1, 10, 10), 11: (10, 10, 10), 12: (1, 12, 10), 13: (12, 13, 13), 20: (1, 20, 20)}
    assert sorted(members(living, 10, "m")) == [10, 11, 12, 13]


def test_whoever_bears_the_mark_is_its_even_when_all_else_is_lost(marks: dict[int, str]) -> None:
    living = {30: (1, 30, 30), 31: (30, 31, 31), 40: (1, 40, 40)}
    marks[30] = "m"
    assert sorted(members(living, 10, "m")) == [30, 31]


def test_another_command_is_not_its_whatever_it_descends_from() -> None:
    living = {10: (1, 10, 10), 20: (10, 20, 20)}
    assert members(living, 10, "m", others={20}) == [10]


def test_strays_are_its_when_they_live() -> None:
    assert sorted(members({50: (1, 50, 50)}, 10, "m", strays=[50, 51])) == [50]


@pytest.fixture
def no_descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, before[1]))
    try:
        while True:
            held.append(os.dup(0))
    except OSError:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        for descriptor in held:
            os.close(descriptor)


@pytest.mark.parametrize("look", [family.table, family._children, lambda: _mark(1), lambda: family._began(1)])
def test_who_has_no_descriptors_sees_nothing_and_says_so(look: Callable[[], object], no_descriptors: None) -> None:
    with pytest.raises(OSError, match="Too many open files"):
        look()
