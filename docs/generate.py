"""Writes the reference pages, the diagram in design.md and the example in protocol.md from the code: `make docs`.

What cannot be guessed is in docstrings; what is here only sorts them. `tests/docs` says when a page is stale.
"""

import asyncio
import inspect
import os
import re
import sys
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import exchange
import msgspec
from source import attribute_docs, fields, members, signature

import tieline
from tieline import config, errors, limits
from tieline.apps.cli.commands import tieline as command_line
from tieline.apps.cli.exit_codes import ExitCode
from tieline.wire import moves

ROOT = Path(__file__).parent.parent
_NOTE = "<!-- Written by `make docs` from the code; change it there. -->\n"
_GIVEN = {
    *("Client", "Peer", "Stream", "Subscription", "Items", "Events", "Link", "Talks", "Datagrams", "BlockingLink"),
    *("BlockingDatagrams", "Files", "RemoteFile", "Command", "Codec"),
}
"Classes whose objects users are given and never make."
_SHOWN = ("following", "failures", "codecs", "sealed", "blocking_kinds", "test_clock", "test_transport")
"Examples that the library page shows, for what no other page shows."
_TYPES = """A value of such a type is a map of these fields by name, unless it says otherwise. One that has a
default may be missing, and has that then; one that you do not know is to be ignored."""
_INCLUDED = re.compile(r"<!-- file: (?P<path>\S+) -->\n```python\n.*?```", re.DOTALL)
_EXCHANGE = re.compile(r"<!-- exchange -->\n.*?<!-- /exchange -->", re.DOTALL)
_DIAGRAM = re.compile(r"<!-- moves -->\n.*?<!-- /moves -->", re.DOTALL)


def pages() -> dict[str, str]:
    """Every file that is written here, or has a part that is, with its content."""
    reference = {
        "commands": commands_page,
        "settings": settings_page,
        "errors": errors_page,
        "limits": limits_page,
        "methods": methods_page,
        "library": library_page,
    }
    written = {f"docs/reference/{name}.md": page() for name, page in reference.items()}
    prose = ["README.md", *(str(path.relative_to(ROOT)) for path in sorted(ROOT.glob("docs/**/*.md")))]
    return written | {name: with_parts((ROOT / name).read_text()) for name in prose if name not in written}


# -- the pages -----------------------------------------------------------------------------------------------------


def errors_page() -> str:
    """The tree of exceptions, and each with its code and its attributes."""
    lines = ["# Errors", "", _NOTE, *_paragraphs(errors.__doc__ or "", code=True), ""]
    for kind in _subclasses(errors.TielineError):
        code = f" (`{kind.code}`)" if issubclass(kind, errors.CallError) and kind is not errors.CallError else ""
        lines += [f"## {kind.__name__}{code}", "", inspect.getdoc(kind) or "", ""]
        lines += _seen_in(f"tieline.{kind.__name__}")
        facts = [name for name in inspect.signature(kind.__init__).parameters if name != "self"]
        if facts and "__init__" in vars(kind):
            lines += [f"Attributes: {', '.join(f'`{fact}`' for fact in facts)}.", ""]
    return _joined(lines)


def limits_page() -> str:
    """Each limit with its default, unit and reason."""
    lines = ["# Limits", "", _NOTE, f"{_first(limits.__doc__)}", "", "| limit | default | |", "| --- | --- | --- |"]
    reasons = attribute_docs(limits.Limits)
    for field in msgspec.structs.fields(limits.Limits):
        reason = reasons[field.name]
        lines.append(f"| `{field.name}` | {_shown(field.default, reason)} | {reason} |")
    return _joined(lines)


def settings_page() -> str:
    """A server's settings with all their names, and the environment of the client side."""
    lines = ["# Settings", "", _NOTE]
    lines += [
        "`tieline serve` takes each setting from the first place that has it: the flag, the environment variable,"
    ]
    lines += [f"the file (`--config FILE`, else `{config.FILE_NAME}` in the data folder), its default. In the file a"]
    lines += ['setting has its name and a TOML value: `guests = true`, `listen = [":7788"]`.', ""]
    for setting in config.SETTINGS.values():
        flag = f"`{setting.flag}`, `--no-{setting.flag[2:]}`" if setting.kind.switch else ""
        lines += [f"## {setting.name}", "", setting.about, "", "| | |", "| --- | --- |"]
        lines += [f"| flag | {flag or f'`{setting.flag} {setting.metavar}`'} |"]
        lines += [f"| environment | `{setting.variable}` |", f"| accepted | {_cell(setting.kind.accepts)} |"]
        lines += [f"| default | {setting.default_shown} |", ""]
    lines += ["## For commands that call a server", "", "| environment | |", "| --- | --- |"]
    lines += [f"| `{name}` | {about} |" for name, about in config.CLIENT_ENVIRONMENT.items()]
    return _joined(lines)


def commands_page() -> str:
    """Each command with its options and examples."""
    context = click.Context(command_line, info_name="tieline")
    lines = ["# Commands", "", _NOTE, "Data goes to stdout, talk to stderr. Each exit code has one meaning in every"]
    lines += [
        "command:",
        "",
        "| code | |",
        "| --- | --- |",
        *(f"| {code.value} | {code.about} |" for code in ExitCode),
        "",
    ]
    for name in command_line.list_commands(context):
        command = command_line.get_command(context, name)
        assert command is not None
        lines += _command(name, command)
    return _joined(lines)


def methods_page() -> str:
    """What a server that also runs commands offers without any method of its owner's."""
    lines = ["# Methods", "", _NOTE]
    lines += ["What every server offers; `tieline methods` lists what yours offers, with your own among them.", ""]
    handlers = asyncio.run(_handlers())
    for handler in handlers:
        stream = " (a stream)" if handler.way.name == "STREAM" else ""
        needs = f"Needs the scope `{handler.scope}`. " if handler.scope else ""
        lines += [f"## {handler.name}{stream}", "", f"`{handler.name}{signature(handler.function)}`", ""]
        lines += [needs + handler.doc, ""]
    lines += ["## Types", "", _TYPES, ""]
    for kind in sorted(_structs(handlers), key=lambda kind: (kind.__name__, kind.__module__)):
        # Not inspect.getdoc, which gives msgspec's own text for a struct that has none.
        array = " Travels as an array, in this order." if kind.__struct_config__.array_like else ""
        lines += [f"### {kind.__name__}", "", inspect.cleandoc(kind.__dict__["__doc__"]) + array, ""]
        reasons = attribute_docs(kind)
        for name, hint in fields(kind).items():
            lines.append(f"- `{name}: {hint}`" + (f" — {reasons[name]}" if name in reasons else ""))
        lines.append("")
    return _joined(lines)


def library_page() -> str:
    """Everything a program may import."""
    import tieline.commands
    import tieline.files
    import tieline.sync
    import tieline.testing

    lines = ["# Library", "", _NOTE, *_paragraphs(tieline.__doc__ or "", code=True), ""]
    for name in tieline.__all__:
        value = getattr(tieline, name)
        if inspect.ismodule(value) or isinstance(value, str) or _is_error(value):
            continue
        lines += _entry(f"tieline.{name}", value)
    lines += ["The exceptions are in [errors.md](errors.md).", ""]
    for module in (tieline.commands, tieline.files, tieline.sync, tieline.testing):
        lines += [f"# `{module.__name__}`", "", *_paragraphs(module.__doc__ or "", code=True), ""]
        for name in getattr(module, "__all__", ["connect", "Client", "Items", "Events"]):
            lines += _entry(f"{module.__name__}.{name}", getattr(module, name))
    lines += ["# Examples", ""]
    for name in _SHOWN:
        lines += [f"<!-- file: docs/examples/{name}.py -->", "```python", "```", ""]
    return with_parts(_joined(lines))


def with_parts(text: str) -> str:
    """A page with the files it shows, the diagram of legal moves and the worked example, as they are now."""

    def included(match: re.Match[str]) -> str:
        path = match["path"]
        return f"<!-- file: {path} -->\n```python\n{(ROOT / path).read_text()}```"

    diagram = f"<!-- moves -->\n\n```mermaid\n{moves.mermaid()}\n```\n\n<!-- /moves -->"
    text = _EXCHANGE.sub(lambda _: f"<!-- exchange -->\n\n{exchange.markdown()}\n\n<!-- /exchange -->", text)
    return _DIAGRAM.sub(lambda _: diagram, _INCLUDED.sub(included, text))


# -- pieces --------------------------------------------------------------------------------------------------------


def _command(name: str, command: click.Command) -> Iterator[str]:
    # Not click's own help text: how that is laid out changes with its version.
    context = click.Context(command, info_name=name)
    usage = " ".join(["tieline", name, *command.collect_usage_pieces(context)])
    yield from (f"## tieline {name}", "", f"`{usage}`", "", *_paragraphs(command.help or ""), "")
    options = [param for param in command.params if isinstance(param, click.Option)]
    if options:
        yield from ("| option | |", "| --- | --- |")
        yield from (f"| `{_option(option)}` | {_cell(option.help or '')} |" for option in options)
        yield ""
    if command.epilog:
        yield from ("```", textwrap.dedent(command.epilog.replace("\b\nExamples:\n", "")).rstrip(), "```", "")


def _option(option: click.Option) -> str:
    names = ", ".join([*option.opts, *option.secondary_opts])
    return names if option.is_flag else f"{names} {option.metavar or option.name}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


async def _handlers() -> list[Any]:
    server = tieline.Server(data=":memory:", allow_shell=True)
    async with server.serving():
        return sorted(server.handlers, key=lambda handler: handler.name)


def _seen_in(name: str) -> Iterator[str]:
    """The examples that use it by this name, the two shortest; else programs of the gallery."""
    own = name.removeprefix("tieline.")
    used = re.compile(rf"\b{re.escape(own if '.' in own else name)}\b")
    for folder in ("docs/examples", "src/tieline/apps/gallery"):
        files = [path for path in (ROOT / folder).glob("*.py") if used.search(path.read_text())]
        if files:
            shortest = sorted(files, key=lambda path: (path.stat().st_size, path.name))[:2]
            links = [f"[{path.name}]({os.path.relpath(path, ROOT / 'docs' / 'reference')})" for path in shortest]
            yield from (f"In use: {', '.join(links)}.", "")
            return


def _entry(name: str, value: Any) -> Iterator[str]:
    """One public class or function, as it is written in its source."""
    made_by_users = not inspect.isclass(value) or value.__name__ not in _GIVEN
    written = signature(value.__init__ if inspect.isclass(value) else value) if made_by_users else ""
    yield from (f"## `{name}{written}`", "", *_paragraphs(inspect.getdoc(value) or "", code=True), "")
    yield from _seen_in(name)
    if not inspect.isclass(value) or value is tieline.Limits:
        return
    for member, inner in members(value).items():
        shown = member if isinstance(inner, property) else f"{member}{signature(inner)}"
        yield f"- `{shown}` — {_first(inspect.getdoc(inner))}"
    reasons = attribute_docs(value)
    for field, hint in (fields(value) if issubclass(value, msgspec.Struct) else {}).items():
        yield f"- `{field}: {hint}`" + (f" — {reasons.pop(field)}" if field in reasons else "")
    yield from (f"- `{attribute}` — {text}" for attribute, text in reasons.items())
    yield ""


def _structs(handlers: list[Any]) -> set[type]:
    """Every struct that the handlers take or give, and those within them."""
    found: set[type] = set()
    todo = [hint for handler in handlers for hint in (handler.result, *typing.get_type_hints(handler.params).values())]
    while todo:
        hint = todo.pop()
        todo += typing.get_args(hint)
        if inspect.isclass(hint) and issubclass(hint, msgspec.Struct) and hint not in found:
            found.add(hint)
            todo += typing.get_type_hints(hint).values()
    return found


def _subclasses(kind: type) -> Iterator[type]:
    yield kind
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from _subclasses(each)


def _is_error(value: Any) -> bool:
    return inspect.isclass(value) and issubclass(value, Exception)


def _paragraphs(text: str, *, code: bool = False) -> Iterator[str]:
    """Plain text as Markdown: indented blocks become code, when there is code."""
    for block in inspect.cleandoc(text).split("\n\n"):
        lines = block.split("\n")
        if code and (all(line.startswith("  ") for line in lines) or "├──" in block):
            yield from ("```", textwrap.dedent(block), "```", "")
        else:
            yield from (block, "")


def _first(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


def _shown(number: Any, reason: str) -> str:
    if reason.startswith("Bytes") and number % limits.KiB == 0:
        kib = number // limits.KiB
        return f"{kib // 1024} MiB" if kib % 1024 == 0 else f"{kib} KiB"
    return f"{number:,}"


def _joined(lines: list[str]) -> str:
    """One blank line at most between two others, and one newline at the end."""
    text = "\n".join(lines)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return text.strip() + "\n"


def main() -> None:
    for name, content in pages().items():
        path = ROOT / name
        if not path.exists() or path.read_text() != content:
            path.write_text(content)
            print(f"wrote {name}", file=sys.stderr)


if __name__ == "__main__":
    main()
