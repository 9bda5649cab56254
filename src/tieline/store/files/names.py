"""What a file may be called. Goes in: a path as somebody typed it; comes out: its parts, or InvalidArgument. Pure.

Nothing is ever cleaned: a path is good as it is, or refused with the reason. Every good name can be stored on every
system and says on a terminal what it is. The root is the path of no parts.
"""

import re
import unicodedata

from tieline.errors import InvalidArgument
from tieline.limits import DEFAULT, Limits

Parts = tuple[str, ...]

OURS = ".tieline-"
"What the names of our own folders beneath the root begin with; no path leads there."

# Windows keeps these for devices, with any ending: NUL, nul.txt, COM1.log.
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul", "conin$", "conout$", "clock$"}
    | {f"{port}{digit}" for port in ("com", "lpt") for digit in "0123456789¹²³"}
)
# Most names are of this kind, and thousands of them are looked at in a moment.
_PLAIN = re.compile(r"[A-Za-z0-9_-](?:[A-Za-z0-9_. -]{0,60}[A-Za-z0-9_-])?")
_NOT_EVERYWHERE = re.compile(r'[<>:"|?*\\]')
# Overrides, embeddings and isolates reorder what stands around them: "exe.gpj" would be shown for "jpg.exe".
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_UNSEEN = frozenset({"Cc", "Cs", "Zl", "Zp"})


def parse(path: str, limits: Limits = DEFAULT) -> Parts:
    """The parts of `/lab/data/x.bin`; the slash in front and one at the end may be left out. `/` is the root."""
    if not path:
        raise InvalidArgument("the path is empty; the folder of everything is /")
    size = len(path.encode(errors="surrogatepass")) if len(path) <= limits.path else len(path)
    if size > limits.path:
        raise InvalidArgument(f"the path is {size:,} bytes long; the limit is {limits.path:,}")
    return () if path == "/" else check(tuple(path.removeprefix("/").removesuffix("/").split("/")), limits)


def check(parts: Parts, limits: Limits = DEFAULT) -> Parts:
    """The parts themselves when each is a good name, and they are not too many."""
    if len(parts) > limits.path_depth:
        raise InvalidArgument(f"the path is {len(parts):,} folders deep; the limit is {limits.path_depth}")
    for part in parts:
        fault = fault_of(part, limits)
        if fault is not None:
            raise InvalidArgument(f"the name {part[:60]!a} {fault}")
    return parts


def fault_of(name: str, limits: Limits = DEFAULT) -> str | None:
    """Why this cannot be the name of a file or folder; None when it can."""
    if _PLAIN.fullmatch(name) and len(name) <= limits.path_part and not _is_device(name):
        return None
    if not name:
        return "is empty: there are two slashes in a row, or nothing else"
    if name in (".", ".."):
        return "is no name: paths go down from / and never up"
    if not name.isascii() or not name.isprintable():
        for char in name:
            if unicodedata.category(char) in _UNSEEN:
                return f"holds {char!a}, a control character or half of one"
            if char in _REORDERING:
                return f"holds {char!a}, which changes the order in which it is read"
    if "/" in name:
        return "holds a slash"
    size = len(name.encode())
    if size > limits.path_part:
        return f"is {size:,} bytes long; the limit is {limits.path_part}"
    found = _NOT_EVERYWHERE.search(name)
    if found:
        return f"holds {found[0]!r}, which other systems do not take in a name"
    if name[-1] in ". ":
        return f"ends in {name[-1]!r}, which other systems drop"
    if _is_device(name):
        return "is the name of a device on other systems"
    return "begins like a folder of Tieline's own" if key(name).startswith(OURS) else None


def shown(parts: Parts) -> str:
    """The path as people read and type it."""
    return "/" + "/".join(parts)


def key(name: str) -> str:
    """Names of the same key are one name on some system: they differ in case or in their Unicode normal form only."""
    if name.isascii():
        return name.lower()
    # Letter by letter: "ß" and "ss" are two names everywhere, which str.casefold() of the whole would make one.
    folded = "".join(map(_fold, unicodedata.normalize("NFD", name)))
    return unicodedata.normalize("NFC", folded)


def link_target(folder: Parts, target: str, limits: Limits = DEFAULT) -> Parts:
    """Where a symbolic link in `folder` leads, when that is inside the tree. Links say so relative to where they lie.

    Raises InvalidArgument for any other. The one place where `..` means something, and it is only read, not followed.
    """
    if not target or target.startswith("/") or len(target) > limits.path:
        raise InvalidArgument(f"the link to {target[:60]!a} is not kept: only relative ones into the tree are")
    where = list(folder)
    for step in target.removesuffix("/").split("/"):
        if step == "..":
            if not where:
                raise InvalidArgument(f"the link to {target[:60]!a} is not kept: it leads out of the tree")
            where.pop()
        elif step != ".":
            where.append(step)
    return check(tuple(where), limits)


def _is_device(name: str) -> bool:
    return name.partition(".")[0].rstrip(" ").lower() in _DEVICES


def _fold(char: str) -> str:
    folded = char.casefold()
    return folded if len(folded) == 1 else char
