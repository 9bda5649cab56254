"""What has two forms has one set of names: a program that learns not to block changes `await` and nothing else."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest

import tieline
import tieline.sync
from tieline import files
from tieline.sync.files import BlockingFile, BlockingFiles

PAIRS: list[tuple[type, type, set[str]]] = [
    # What has no blocking form, and why: callbacks of a loop, and what only a loop's program waits for or looks into.
    (tieline.Link, tieline.sync.BlockingLink, {"flush", "socket", "wait_closed", "on_gone"}),
    (tieline.Datagrams, tieline.sync.BlockingDatagrams, {"open", "unreachable"}),
    (files.Files, BlockingFiles, {"entries", "matching"}),  # `list`, `get` and `put` do what these two are for
    (files.RemoteFile, BlockingFile, set()),
    (
        tieline.Client,
        tieline.sync.Client,
        {"open", "on_end", "running", "attach", "tell", "cut", "over", "refuse_calls", "disown", "start_stream"},
    ),
]
FACES_THE_STREAM = {"opened", "received", "finished", "ended", "writable"}


def members(kind: type) -> dict[str, Any]:
    return {name: member for name, member in inspect.getmembers(kind) if not name.startswith("_")}


@pytest.mark.parametrize(("waiting", "blocking", "without"), PAIRS, ids=lambda each: getattr(each, "__name__", ""))
def test_what_is_awaited_can_be_had_blocking(waiting: type, blocking: type, without: set[str]) -> None:
    documented = {name for name, member in members(waiting).items() if inspect.getdoc(member)}
    of_a_peer = {name for name in documented if name in members(tieline.Peer) and not _is_public(waiting, name)}
    assert documented - set(members(blocking)) - FACES_THE_STREAM - of_a_peer == without


@pytest.mark.parametrize(("waiting", "blocking", "without"), PAIRS, ids=lambda each: getattr(each, "__name__", ""))
def test_it_is_asked_for_in_the_same_words(waiting: type, blocking: type, without: set[str]) -> None:
    for name in set(members(waiting)) & set(members(blocking)):
        ours, theirs = members(waiting)[name], members(blocking)[name]
        if inspect.isfunction(ours) and inspect.isfunction(theirs) and (waiting, name) != (tieline.Client, "close"):
            assert _parameters(ours) == _parameters(theirs) - {"timeout"} | (_parameters(ours) & {"timeout"}), name


@pytest.mark.parametrize("name", ["connect", "dial", "datagrams"])
def test_it_is_made_in_the_same_words(name: str) -> None:
    ours, theirs = inspect.signature(getattr(tieline, name)), inspect.signature(getattr(tieline.sync, name))
    assert list(ours.parameters.values()) == list(theirs.parameters.values())


def _parameters(function: Callable[..., Any]) -> set[str]:
    return set(inspect.signature(function).parameters)


def _is_public(kind: type, name: str) -> bool:
    """Above the first `# -- ` of the class that has it, as in docs/source.py."""
    owner = next(base for base in kind.__mro__ if name in vars(base))
    return f"def {name}(" in inspect.getsource(owner).partition("    # -- ")[0]
