"""What all tests share: programs a test needs are asked for, and in continuous integration must be there."""

import gc
import os
import shutil
import signal
from pathlib import Path

import hypothesis
import pytest

# A shell makes those it starts in the background deaf to Ctrl-C, and the programs that tests start would be so too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is.
hypothesis.settings.register_profile("tieline", deadline=None)
hypothesis.settings.load_profile("tieline")


def pytest_collection_finish() -> None:
    """All that the suite is made of stays: a test that looks for what it left behind need not look through that."""
    gc.collect()
    gc.freeze()


def missing(*programs: str) -> str | None:
    """A sentence naming the programs that are not on this machine, or None."""
    absent = [program for program in programs if shutil.which(program) is None]
    return f"needs {', '.join(absent)}, not installed here" if absent else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    """`@pytest.mark.requires("nc", "openssl")`: skip without them; fail where nothing may be skipped (TIELINE_CI)."""
    for mark in item.iter_markers("requires"):
        reason = missing(*mark.args)
        if reason and os.environ.get("TIELINE_CI"):
            pytest.fail(f"{reason}; .ci/run installs what the suite needs", pytrace=False)
        elif reason:
            pytest.skip(reason)


@pytest.fixture
def config_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration folder of this test's own, so that no profile of the user is seen or touched."""
    monkeypatch.setenv("TIELINE_CONFIG", str(tmp_path / "config"))
    return tmp_path / "config"
