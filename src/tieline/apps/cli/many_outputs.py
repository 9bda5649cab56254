"""What many machines say, for a person or a program: line by line as it comes, equal outputs together, or as JSON."""

import asyncio
import base64
import hashlib
import sys
import tempfile
from collections.abc import AsyncIterator
from typing import IO, Any

import click

from tieline import commands
from tieline.errors import LimitExceeded
from tieline.limits import KiB, MiB
from tieline.wire.safe_text import safe_text

from .many import Result
from .output import print_json

LINE = 64 * KiB
"Bytes. What is longer is shown in pieces: a line without an end would otherwise be kept for ever."
KEPT = 1 * MiB
"Bytes of one machine's output in memory; more of it waits in a temporary file."

MOST = 64 * MiB
"Bytes. Longest output in one JSON document."


class Prefixed:
    """Each line as it comes, behind its machine's name; errors go to stderr in the same way."""

    merge = False

    def __init__(self) -> None:
        self._out, self._err = _Lines(sys.stdout), _Lines(sys.stderr)

    async def machine(self, name: str, command: commands.Command) -> None:
        assert command.stderr is not None
        errors = asyncio.ensure_future(self._err.copy(name, command.stderr))
        try:
            await self._out.copy(name, command.stdout())
            await errors
        finally:
            errors.cancel()
            await asyncio.gather(errors, return_exceptions=True)

    def ended(self, result: Result) -> None:
        pass

    def finish(self, results: list[Result]) -> None:
        pass


class _Lines:
    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._terminal = stream.isatty()

    async def copy(self, name: str, source: AsyncIterator[bytes]) -> None:
        rest = b""
        async for piece in source:
            *whole, rest = (rest + piece).split(b"\n")
            for line in whole:
                self._write(name, line)
            while len(rest) > LINE:
                self._write(name, rest[:LINE])
                rest = rest[LINE:]
            self._stream.flush()
        if rest:
            self._write(name, rest)
            self._stream.flush()

    def _write(self, name: str, line: bytes) -> None:
        self._stream.buffer.write(b"%s: %s\n" % (name.encode(), _fit(line, self._terminal)))


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

    def ended(self, result: Result) -> None:
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

    async def machine(self, name: str, command: commands.Command) -> None:
        assert command.stderr is not None
        errors = asyncio.ensure_future(_all(command.stderr))
        try:
            self._said[name] = await _all(command.stdout()), await errors
        finally:
            errors.cancel()
            await asyncio.gather(errors, return_exceptions=True)

    def ended(self, result: Result) -> None:
        out, err = self._said.pop(result.machine, (b"", b""))
        document: dict[str, Any] = {"machine": result.machine, "code": result.code, "about": result.about}
        print_json(document | _text("stdout", out) | _text("stderr", err))
        sys.stdout.flush()

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
