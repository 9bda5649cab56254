"""The tree in docs/design.md is that of the source: nothing is missing, and nothing that is gone still stands there."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SOURCE = ROOT / "src" / "tieline"
LEFT_OUT = ("apps/cli/", "apps/gallery/")


def drawn() -> Iterator[str]:
    """`wire/frames` and so on, as the tree names them."""
    tree = (ROOT / "docs" / "design.md").read_text().partition("\n## The tree\n")[2].partition("\n```\n")[0]
    folder = ""
    for line in tree.partition("```text\n")[2].splitlines():
        if match := re.match(r"(\S+/)  +\S", line):
            folder = match[1]
        elif match := re.match(r"(  )?(\w+(?:, \w+)*) +\S", line):
            yield from (f"{folder if match[1] else ''}{name}" for name in match[2].split(", "))


def there() -> set[str]:
    paths = (path.relative_to(SOURCE).with_suffix("").as_posix() for path in SOURCE.rglob("*.py"))
    return {path for path in paths if not path.endswith("__init__") and not path.startswith(LEFT_OUT)}


def test_every_module_is_in_the_tree_once_and_nothing_else() -> None:
    found = list(drawn())
    assert set(found) - there() == set(), "these are no more"
    assert there() - set(found) == set(), "these are new: name them in docs/design.md, The tree"
    assert len(found) == len(set(found))
