"""Where things go: the names they have at the other side, and the folder they come into. Raises InvalidArgument and
Conflict for what would be no name, or one name for two."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from tieline.errors import Conflict, InvalidArgument
from tieline.store.files import names

Local = str | os.PathLike[str]
"A path of this machine."


def several(paths: Local | Sequence[Local]) -> Iterable[Local]:
    """One path or many, as many."""
    return [paths] if isinstance(paths, str | os.PathLike) else paths


def name_of(path: Path) -> str:
    """The name by which `path` is known; `.` and `..` are known by that of the folder they mean."""
    name = path.name if path.name not in ("", "..") else path.resolve().name
    if any("\ud800" <= char <= "\udfff" for char in name):
        raise InvalidArgument(f"the name {name!a} is not UTF-8, so it cannot be sent; give another one for it there")
    if not name:
        raise InvalidArgument(f"{path} has no name to be known by; say a destination that does not end with a slash")
    return name


def joined(folder: str, name: str) -> str:
    """The remote path of a name in a folder."""
    return f"{folder.rstrip('/')}/{name}"


def last_name(path: str) -> str:
    parts = names.parse(path)
    if not parts:
        raise InvalidArgument("/ has no name to be known by here; say which folders of it, or use sync")
    return parts[-1]


def all_different(targets: Sequence[str], key: Callable[[str], str] = str) -> None:
    """Two things of one name would replace one another."""
    seen: set[str] = set()
    for target in targets:
        name = key(target.rstrip("/"))
        if name in seen:
            raise Conflict(f"two of these would both be {target}; put them into different folders")
        seen.add(name)


def shown_below(root: str, path: names.Parts) -> str:
    """What a person is shown for a path below a root."""
    return "/".join((root.rstrip("/"), *path)) if path else root


def local_folder(dest: Local, count: int, inside: bool | None) -> tuple[Path, bool]:
    """The folder things come into, and whether they keep their own names there."""
    path = Path(dest)
    into = inside if inside is not None else count > 1 or str(dest).endswith(("/", os.sep)) or path.is_dir()
    folder = path if into else path.parent
    if folder.exists() and not folder.is_dir():
        raise Conflict(f"{folder} is no folder")
    return folder, into
