"""What many machines say, for a person or a program: line by line as it comes, equal outputs together, or as JSON."""

import asyncio
import base64
import hashlib
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import IO, Any

import click
import msgspec

from tieline import commands
from tieline.errors import LimitExceeded, NotFound
from tieline.limits import KiB, MiB
from tieline.wire.safe_text import safe_json, safe_text

from .descriptors import Sink, sink
from .many import Result

LINE = 64 * KiB
"Bytes. What is longer is shown in pieces: a line without an end would otherwise be kept for ever."
KEPT = 1 * MiB
"Bytes of one machine's output in memory; more of it waits in a temporary file."

TOGETHER = 512
"Lines in one write."
MOST = 64 * MiB
"Bytes. Longest output in one JSON document."


class Prefixed:
    """Each line as it comes, behind its machine's name; errors go to stderr in the same way."""

    merge = False

    def __init__(self) -> None:
        self._out, self._err = _Lines(1), _Lines(2)

    async def machine(self, name: str, command: commands.Command) -> None:
        assert command.stderr is not None
        errors = asyncio.ensure_future(self._copy_errors(name, command))
        try:
            await self._copy_output(name, command)
            await errors
        finally:
            errors.cancel()
            await asyncio.gather(errors, return_exceptions=True)

    async def _copy_output(self, name: str, command: commands.Command) -> None:
        try:
            await self._out.copy(name, command.stdout())
        except BrokenPipeError:
            with suppress(NotFound):
                await command.unread()

    async def _copy_errors(self, name: str, command: commands.Command) -> None:
        assert command.stderr is not None
        try:
            await self._err.copy(name, command.stderr)
        except BrokenPipeError:
            await command.stderr.aclose()  # the command is told so when it writes more

    async def ended(self, result: Result) -> None:
        pass

    def finish(self, results: list[Result]) -> None:
        pass


class _Lines:
    """Whole lines of many machines on one descriptor, without holding up the loop for who reads slowly."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._terminal = os.isatty(descriptor)
        self._sink: Sink | None = None
        self._writing = asyncio.Lock()

    async def copy(self, name: str, source: AsyncIterator[bytes]) -> None:
        rest = b""
        async for piece in source:
            *whole, rest = (rest + piece).split(b"\n")
            while len(rest) > LINE:
                whole.append(rest[:LINE])
                rest = rest[LINE:]
            await self._write(name, whole)
        if rest:
            await self._write(name, [rest])

    async def _write(self, name: str, lines: list[bytes]) -> None:
        async with self._writing:
            if self._sink is None:
                self._sink = sink(self._descriptor)
            for at in range(0, len(lines), TOGETHER):
                some = lines[at : at + TOGETHER]
                await self._sink.write(b"".join(b"%s: %s\n" % (name.encode(), _fit(x, self._terminal)) for x in some))


class Grouped:
    """Machines that said the same, and ended the same, together; when all have ended."""

    merge = True

    def __init__(self) -> None:
        self._kept: dict[str, tuple[IO[bytes], str]] = {}  # by machine: what it said, and its digest

    async def machine(self, name: str, command: commands.Command) -> None:
        digest = hashlib.sha256()
        kept = tempfile.SpooledTemporaryFile(KEPT)  # noqa: SIM115 — closed by finish()
        self._kept[name] = kept, ""
        async for piece in command.stdout():
            digest.update(piece)
            kept.write(piece)
        self._kept[name] = kept, digest.hexdigest()

    async def ended(self, result: Result) -> None:
        pass

    def finish(self, results: list[Result]) -> None:
        groups: dict[tuple[str, int, str], list[str]] = {}
        for result in results:
            digest = self._kept[result.machine][1] if result.machine in self._kept else ""
            groups.setdefault((digest or result.machine, result.code, result.about), []).append(result.machine)
        for names in groups.values():
            click.echo(f"-- {', '.join(map(safe_text, names))} ({len(names)})")
            if names[0] in self._kept:
                _print(self._kept[names[0]][0])
        for kept, _ in self._kept.values():
            kept.close()


def _print(kept: IO[bytes]) -> None:
    """All of it, and the end of its last line if that is missing."""
    kept.seek(0)
    terminal = sys.stdout.isatty()
    sys.stdout.flush()
    end = b"\n"
    for line in iter(lambda: kept.readline(LINE), b""):
        text, end = (line[:-1], b"\n") if line.endswith(b"\n") else (line, b"")
        sys.stdout.buffer.write(_fit(text, terminal) + end)
    sys.stdout.buffer.write(b"" if end else b"\n")
    sys.stdout.flush()


def _fit(line: bytes, terminal: bool) -> bytes:
    """A terminal is shown what a line says and does nothing of it; anything else gets the bytes."""
    return safe_text(line.decode(errors="replace")).encode() if terminal else line


class AsJson:
    """One JSON document on a line for each machine, as it ends. What is no UTF-8 is base64, under another name."""

    merge = False

    def __init__(self) -> None:
        self._said: dict[str, tuple[bytes, bytes]] = {}
        self._sink: Sink | None = None
        self._writing = asyncio.Lock()

    async def machine(self, name: str, command: commands.Command) -> None:
        assert command.stderr is not None
        errors = asyncio.ensure_future(_all(command.stderr))
        try:
            self._said[name] = await _all(command.stdout()), await errors
        finally:
            errors.cancel()
            await asyncio.gather(errors, return_exceptions=True)

    async def ended(self, result: Result) -> None:
        out, err = self._said.pop(result.machine, (b"", b""))
        document: dict[str, Any] = {"machine": result.machine, "code": result.code, "about": result.about}
        document |= _text("stdout", out) | _text("stderr", err)
        async with self._writing:
            if self._sink is None:
                self._sink = sink(1)
            await self._sink.write(safe_json(msgspec.json.encode(document).decode()).encode() + b"\n")

    def finish(self, results: list[Result]) -> None:
        pass


async def _all(source: AsyncIterator[bytes]) -> bytes:
    pieces: list[bytes] = []
    size = 0
    async for piece in source:
        pieces.append(piece)
        size += len(piece)
        if size > MOST:
            raise LimitExceeded("the output for one JSON document", got=size, limit=MOST)
    return b"".join(pieces)


def _text(name: str, data: bytes) -> dict[str, str]:
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": base64.b64encode(data).decode()}
