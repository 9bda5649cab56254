"""Telling a room, or somebody, what was put there for them: name, size, digest, and how to get it."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from .output import size
from .posting import post

if TYPE_CHECKING:
    from tieline.client import Client

_EACH = 10
"Files told one by one."


def folder_of(to: str, me: str) -> str:
    """Where files for a room, or for @name, go: into my letter box there, or my own folder when it is me."""
    if not to.startswith("@"):
        return f"/rooms/{to}/"
    return f"/people/{me}/" if to[1:] == me else f"/people/{to[1:]}/inbox/{me}/"


async def announce(client: "Client", to: str, sources: list[str], dest: str, inside: bool, timeout: float) -> None:
    """Say it in chat."""
    import asyncio

    lines = []
    for source in sources[:_EACH]:
        path = f"{dest.rstrip('/')}/{Path(source).resolve().name}" if inside else dest
        about = "from standard input" if source == "-" else await asyncio.to_thread(_about, source)
        lines.append(f"{path} ({about})")
    if len(sources) > _EACH:
        lines.append(f"and {len(sources) - _EACH} more in {dest}")
    await post(client, to, "put " + "\n".join(lines), timeout)


def _about(source: str) -> str:
    """Size and digest of a file, or what is in a folder."""
    from blake3 import blake3

    path = Path(source)
    if path.is_dir():
        files = [os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names]
        total = sum(os.lstat(file).st_size for file in files)
        return f"a folder with {len(files):,} files, {size(total)}"
    hasher = blake3()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            hasher.update(piece)
    return f"{size(path.stat().st_size)}, blake3 {hasher.hexdigest()}"
