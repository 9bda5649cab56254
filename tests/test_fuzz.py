"""The fuzz targets work, and hold for a few rounds; `make fuzz` runs them for longer."""

import sys

import pytest
from fuzz.__main__ import dice_of, main, run, target, targets

from tieline.wire import frames

ROUNDS = {"middle": 60, "peer": 60}


@pytest.mark.parametrize("name", targets())
def test_a_few_rounds_hold(name):
    assert target(name).__doc__.splitlines()[0].endswith(".")
    for number in range(ROUNDS.get(name, 1000)):
        target(name).once(dice_of("tests", number))


def test_a_parser_that_breaks_its_promise_is_found_and_told_how_to_repeat(monkeypatch, capsys):
    feed = frames.FrameCutter.feed
    monkeypatch.setattr(frames.FrameCutter, "feed", lambda self, data: feed(self, data)[:2])
    with pytest.raises(AssertionError):
        run("frames", "seed", 20)
    assert "again: python -m fuzz --seed seed --round" in capsys.readouterr().err


def test_the_command_runs_what_it_is_asked_for(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["fuzz", "--seconds", "0.01", "--seed", "abc", "hello", "lines"])
    main()
    seed, hello, lines = capsys.readouterr().out.splitlines()
    assert seed == "seed abc"
    assert hello.startswith("hello ")
    assert lines.startswith("lines ")
