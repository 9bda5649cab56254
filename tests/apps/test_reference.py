"""The reference pages say what the code says."""

from pathlib import Path

import pytest

from tieline.apps.reference import pages
from tieline.config import SETTINGS

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"


@pytest.mark.parametrize("name", pages())
def test_the_page_is_up_to_date(name: str) -> None:
    # By words: another version of click breaks lines elsewhere.
    written = (REFERENCE / name).read_text(encoding="utf-8")
    assert written.split() == pages()[name].split(), f"docs/reference/{name} is out of date: make docs"


def test_no_setting_is_missing_from_its_page() -> None:
    page = pages()["settings.md"]
    for setting in SETTINGS.values():
        assert f"## {setting.name}\n" in page
        assert setting.flag in page
        assert setting.variable in page
