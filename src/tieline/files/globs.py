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
    found, sure = [""], True
    *folders, last = path.strip("/").split("/")
    for part in folders:
        sure = sure and not is_pattern(part)
        found = [
            f"{at}/{name}" for at in found for name in ([part] if sure else await _matching(files, at, part, True))
        ]
    found = [f"{at}/{name}" for at in found for name in await _matching(files, at, last)]
    if not found:
        raise NotFound(f"nothing there is called like {path}")
    return found


async def _matching(files: "Files", folder: str, pattern: str, only_folders: bool = False) -> list[str]:
    try:
        entries = [entry async for entry in files.entries(folder or "/")]
        if [entry.name for entry in entries] == [folder.rpartition("/")[2]] and not await _is_folder(files, folder):
            return []
    except NotFound:
        return []
    names = [entry.name for entry in entries if entry.kind == "folder" or not only_folders]
    if pattern in names:
        return [pattern]
    hidden = pattern.startswith(".")
    return [name for name in names if fnmatchcase(name, pattern) and (hidden or not name.startswith("."))]


async def _is_folder(files: "Files", path: str) -> bool:
    # What is listed of a file is the file.
    return (await files.stat(path)).kind == "folder"
