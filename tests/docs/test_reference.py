"""What is generated is up to date, and nothing public is missing from it."""

import inspect
import re
import tomllib
from pathlib import Path
from types import ModuleType

import msgspec
import pytest

import tieline
from tieline import config, errors
from tieline.apps.cli.commands import COMMANDS
from tieline.wire import moves


@pytest.fixture(scope="module")
def pages(generate: ModuleType) -> dict[str, str]:
    found: dict[str, str] = generate.pages()
    return found


def test_nothing_generated_is_stale(pages: dict[str, str], root: Path) -> None:
    stale = [name for name, content in pages.items() if (root / name).read_text() != content]
    assert stale == [], "run `make docs`"


def test_everything_public_is_in_the_reference(pages: dict[str, str]) -> None:
    library, faults = pages["docs/reference/library.md"], pages["docs/reference/errors.md"]
    values = {name: getattr(tieline, name) for name in tieline.__all__ if not isinstance(getattr(tieline, name), str)}
    missing = [
        name
        for name, value in values.items()
        if f"tieline.{name}" not in library and not (inspect.isclass(value) and f"## {name}" in faults)
    ]
    assert missing == []


def test_every_error_is_public_and_explained(pages: dict[str, str]) -> None:
    ours = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, Exception)}
    assert ours - set(tieline.__all__) <= {"UnknownFault"}
    assert [name for name in sorted(ours) if f"## {name}" not in pages["docs/reference/errors.md"]] == []


def test_every_limit_setting_and_command_is_in_the_reference(pages: dict[str, str]) -> None:
    limits, settings = pages["docs/reference/limits.md"], pages["docs/reference/settings.md"]
    assert [f.name for f in msgspec.structs.fields(tieline.Limits) if f"`{f.name}`" not in limits] == []
    assert [s.variable for s in config.SETTINGS.values() if f"`{s.variable}`" not in settings] == []
    assert [name for name in COMMANDS if f"## tieline {name}\n" not in pages["docs/reference/commands.md"]] == []


def test_a_type_of_a_method_says_what_it_is_and_how_it_travels(pages: dict[str, str]) -> None:
    methods = pages["docs/reference/methods.md"]
    assert msgspec.Struct.__doc__ is not None
    assert msgspec.Struct.__doc__.strip().splitlines()[0] not in methods
    assert "- `duplicate: bool = False`" in methods
    _, _, verifier = methods.partition("### Verifier\n")
    assert "Travels as an array, in this order." in verifier.split("###")[0]


def test_every_command_is_in_the_readme(root: Path) -> None:
    readme = (root / "README.md").read_text()
    assert [name for name in COMMANDS if f"`tieline {name}" not in readme] == []


def test_everything_public_has_a_docstring() -> None:
    values = [(name, getattr(tieline, name)) for name in tieline.__all__]
    assert [name for name, value in values if callable(value) and not inspect.getdoc(value)] == []


def test_the_diagram_in_the_design_is_drawn_from_the_tables(root: Path) -> None:
    assert moves.mermaid() in (root / "docs" / "design.md").read_text()


def test_the_design_explains_every_dependency(root: Path) -> None:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    names = [re.split(r"[^\w-]", each)[0] for each in project["dependencies"]]
    _, _, section = (root / "docs" / "design.md").read_text().partition("## Dependencies")
    assert [name for name in names if name not in section] == []


def test_links_between_documents_lead_somewhere(root: Path) -> None:
    broken = []
    for page in [root / "README.md", root / "CHANGELOG.md", *root.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{page.name}: {target}")
    assert broken == []
