"""The page about attacks names tests that there are."""

import re
from pathlib import Path

import pytest


def rows(root: Path) -> list[list[str]]:
    lines = (root / "docs" / "attacks.md").read_text().splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")][2:]


def test_each_case_is_shown_by_tests_that_there_are(root: Path) -> None:
    missing = []
    for case, _, shown in rows(root):
        named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", shown)
        assert shown.count("`") == 2 * len(named) > 0, case
        for file, test in named:
            path = root / "tests" / file
            if not path.is_file() or not re.search(rf"^ *(?:async )?def {test}\(", path.read_text(), re.MULTILINE):
                missing.append(f"{file}::{test}")
    assert missing == []


def test_the_cases_are_all_read(root: Path) -> None:
    assert len(rows(root)) == (root / "docs" / "attacks.md").read_text().count("\n| ") - 2


@pytest.mark.parametrize("page", ["README.md", "docs/design.md"])
def test_it_is_found(root: Path, page: str) -> None:
    assert "attacks.md" in (root / page).read_text()
