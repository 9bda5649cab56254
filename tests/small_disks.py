"""Disks that are full soon: file systems in memory, for tests whose process may mount them."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    """One of `size` (`24m`), on a new folder. Skips the test where none can be mounted."""
    if shutil.which("mount") is None:
        pytest.skip("no mount command")
    place.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", place]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"a small disk needs the right to mount one: {mounted.stderr.strip()}")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def needs_a_namespace() -> None:
    """Skips the test where a process may not mount a disk that it alone sees."""
    if shutil.which("unshare") is None:
        pytest.skip("no unshare command")
    tried = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        pytest.skip(f"a small disk needs the right to mount one: {tried.stderr.strip()}")
