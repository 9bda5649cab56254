"""The reference pages of settings and commands, written from the code they describe.

`python -m tieline.apps.reference FOLDER` writes them; a test says when the ones in docs/ are out of date.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tieline.apps.cli.commands import COMMANDS, tieline
from tieline.apps.cli.exit_codes import ExitCode
from tieline.config import CLIENT_ENVIRONMENT, FILE_NAME, SETTINGS, Setting

GENERATED = "<!-- Written by `make docs` from the code; changes belong there. -->"


def pages() -> dict[str, str]:
    """Each page's file name and content."""
    return {"settings.md": settings_page(), "commands.md": commands_page()}


def settings_page() -> str:
    """Every setting of a server with all its names."""
    return "\n".join([*_settings_head(), *(line for each in SETTINGS.values() for line in _setting(each)), *_client()])


def _settings_head() -> list[str]:
    return [
        "# Settings",
        "",
        GENERATED,
        "",
        "`tieline serve` takes each setting from the first place that has it: the flag, the environment variable, the",
        f"file (`--config FILE`, else `{FILE_NAME}` in the data folder), its default. In the file a setting has its",
        'name and a TOML value: `guests = true`, `listen = [":7788"]`. A value that cannot be used is refused with its',
        "name, the place it came from and what is accepted.",
        "",
    ]


def _setting(setting: Setting) -> Iterator[str]:
    switch = f"`{setting.flag}`, `--no-{setting.flag[2:]}`"
    flag = switch if setting.kind.switch else f"`{setting.flag} {setting.metavar}`"
    yield from (f"## {setting.name}", "", setting.about, "", "| | |", "| --- | --- |")
    yield f"| flag | {flag} |"
    yield f"| environment | `{setting.variable}` |"
    yield f"| accepted | {setting.kind.accepts} |"
    yield f"| default | {setting.default_shown} |"
    yield ""


def _client() -> Iterator[str]:
    yield from ("## For commands that call a server", "")
    yield from ("| environment | |", "| --- | --- |")
    for name, about in CLIENT_ENVIRONMENT.items():
        yield f"| `{name}` | {about} |"
    yield ""


def commands_page() -> str:
    """Every command as its --help says it, and the exit codes."""
    lines = ["# Commands", "", GENERATED, "", *_exit_codes()]
    for name in COMMANDS:
        lines += [f"## tieline {name}", "", "```text", help_of(name), "```", ""]
    return "\n".join(lines)


def _exit_codes() -> Iterator[str]:
    yield from ("Data goes to stdout, talk to stderr. Each exit code has one meaning in every command:", "")
    yield from ("| code | meaning |", "| --- | --- |")
    for code in ExitCode:
        yield f"| {int(code)} | {code.about} |"
    yield ""


def help_of(name: str) -> str:
    """What `tieline NAME --help` prints."""
    wide: dict[str, Any] = {"terminal_width": 100, "max_content_width": 100, "resilient_parsing": True}
    with tieline.make_context("tieline", [], **wide) as parent:
        command = tieline.get_command(parent, name)
        assert command is not None
        with command.make_context(name, [], parent=parent, **wide) as context:
            text = command.get_help(context)
    return "\n".join(line.rstrip() for line in text.splitlines())


def write(folder: Path) -> None:
    """Write the pages into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in pages().items():
        (folder / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
