"""`make` sets itself up: in any folder, with what is there, and again only when it has to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
STUB = '#!/bin/sh\necho "$@" >> "$(dirname "$0")/log"\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what make needs, in a path with spaces, with a Python that only notes what it is asked."""
    tree = tmp_path / "a folder with spaces"
    (tree / ".venv" / "bin").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, tree)
    shutil.copytree(ROOT / "tools", tree / "tools")
    stub = tree / ".venv" / "bin" / "python"
    stub.write_text(STUB)
    stub.chmod(0o755)
    return tree


def make(tree: Path, *arguments: str) -> list[str]:
    """Run make; returns what Python was asked."""
    log = tree / ".venv" / "bin" / "log"
    log.write_text("")
    system = {**os.environ, "PATH": "/usr/local/bin:/usr/bin:/bin"}
    for name in ("MAKEFLAGS", "MAKELEVEL", "VENV", "PYTHON", "ARGS"):
        system.pop(name, None)
    done = subprocess.run(["make", *arguments], cwd=tree, env=system, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [line for line in log.read_text().splitlines() if not line.startswith("-c ")]


def only(asked: list[str], word: str) -> list[str]:
    return [line for line in asked if word in line]


@pytest.mark.requires("make")
@pytest.mark.skipif(shutil.which("uv", path="/usr/local/bin:/usr/bin:/bin") is not None, reason="uv installs here")
def test_packages_are_installed_once_and_again_when_the_project_changes(tree: Path) -> None:
    assert len(only(make(tree, "test"), "pip install")) == 1
    assert only(make(tree, "test"), "pip install") == []
    later = (tree / ".venv" / "ready-dev").stat().st_mtime + 5
    os.utime(tree / "pyproject.toml", (later, later))
    assert len(only(make(tree, "test"), "pip install")) == 1


@pytest.mark.requires("make")
def test_serve_needs_no_packages_for_development(tree: Path) -> None:
    asked = make(tree, "serve", "ARGS=--guests")
    assert asked[-1] == "-m tieline serve --guests"
    assert "dev" not in " ".join(only(asked, "install"))


@pytest.mark.requires("make")
def test_help_lists_what_there_is_and_asks_for_nothing(tree: Path) -> None:
    assert make(tree, "help") == []
    told = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    listed = [line.split()[0] for line in told.splitlines()]
    assert {"help", "setup", "serve", "test", "check", "bench", "fuzz", "docs"} <= set(listed)


def test_the_layers_are_all_in_the_import_contract() -> None:
    pytest.importorskip("importlinter")
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"]
    done = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_what_is_public_is_there_with_nothing_else_imported() -> None:
    program = "import tieline; tieline.files.Progress; [getattr(tieline, name) for name in tieline.__all__]"
    subprocess.run([sys.executable, "-c", program], check=True)
