"""What *From the bare socket, program by program* says breaks does break, and what it shows are the programs."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tieline.apps.gallery import NAMES

PAGE = "docs/howto/from-the-bare-socket.md"


def file_of(name: str) -> str:
    return f"{name.replace('-', '_')}.py"


@pytest.mark.parametrize("name", NAMES)
def test_the_bare_program_breaks_as_the_page_says(name: str, root: Path, tmp_path: Path) -> None:
    shown = re.search(rf"<!-- seen: {name} -->\n```text\n(.*?)```", (root / PAGE).read_text(), re.DOTALL)
    assert shown
    done = subprocess.run(
        [sys.executable, str(root / "docs" / "howto" / "bare" / "breaking.py"), name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == (shown[1], "")


@pytest.mark.parametrize("name", NAMES)
def test_the_page_shows_the_bare_program_and_the_example_as_they_are(name: str, root: Path) -> None:
    text = (root / PAGE).read_text()
    for file in (f"docs/howto/bare/{file_of(name)}", f"examples/{file_of(name)}"):
        assert f"<!-- file: {file} -->\n```python\n{(root / file).read_text()}```" in text
