"""Patterns in remote paths: `/lab/*.csv` becomes the names there are. The server is asked for folders, nothing more, so
what it answers is matched here and never taken for more than was asked for.

A name that is there just as it is written is meant, whatever signs are in it: `photo [1].jpg` is a photo.
"""

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from tieline.errors import NotFound

if TYPE_CHECKING:
    from tieline.files.api import Files

_MAGIC = frozenset("*?[")


def is_pattern(path: str) -> bool:
    return not _MAGIC.isdisjoint(path)


async def expanded(files: "Files", path: str) -> list[str]:
    """The paths a pattern stands for, by name. Raises NotFound when there are none."""
    found = [""]
    for part in path.strip("/").split("/"):
        if is_pattern(part):
            found = [f"{folder}/{name}" for folder in found for name in await _matching(files, folder or "/", part)]
        else:
            found = [f"{folder}/{part}" for folder in found]
    if not found:
        raise NotFound(f"nothing there is called like {path}")
    return found


async def _matching(files: "Files", folder: str, pattern: str) -> list[str]:
    try:
        names = [entry.name async for entry in files.entries(folder)]
    except NotFound:
        return []
    if pattern in names:
        return [pattern]
    hidden = pattern.startswith(".")
    return [name for name in names if fnmatchcase(name, pattern) and (hidden or not name.startswith("."))]
