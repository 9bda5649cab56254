"""Our types are for users: a program of theirs passes `mypy --strict`, mistakes in it are found, and it runs."""

import subprocess
import sys
from pathlib import Path

import pytest

SAMPLE = Path(__file__).parent / "typing_sample.py"


def mypy(folder: Path, program: Path) -> subprocess.CompletedProcess[str]:
    """Away from our own configuration, as users would run it."""
    pytest.importorskip("mypy")
    return subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={folder}", str(program)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_program_that_uses_everything_passes_strict_checks(tmp_path: Path) -> None:
    checked = mypy(tmp_path, SAMPLE)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_mistake_in_a_program_is_found(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import tieline\n"
        "async def main(peer: tieline.Peer) -> None:\n"
        "    number: int = await peer.call('greet', returns=str)\n"
        "    await peer.call('greet', timeout='soon')\n"
        "    tieline.Server(guest=True)\n"
    )
    checked = mypy(tmp_path, program)
    assert [line for line in (3, 4, 5) if f"program.py:{line}: error" in checked.stdout] == [3, 4, 5], checked.stdout


def test_the_program_runs() -> None:
    done = subprocess.run([sys.executable, "-X", "dev", str(SAMPLE)], capture_output=True, text=True, check=False)
    # That a turn of the loop took long says only that the machine is busy.
    said = [line for line in done.stderr.splitlines() if not (line.startswith("Executing <") and " took " in line)]
    assert (done.returncode, said) == (0, [])
