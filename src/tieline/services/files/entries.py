"""What callers are told of files, and what those who send them are given."""

import msgspec

from tieline.store.files.catalogue import Entry
from tieline.store.files.facts import Facts, Kind
from tieline.store.files.names import Parts
from tieline.store.files.tree import Opened


class File(msgspec.Struct, frozen=True, omit_defaults=True):
    """One entry of a folder. Times in unix milliseconds; `size` in bytes."""

    name: str
    kind: Kind
    size: int
    modified: int
    mode: int
    "Permission bits, as `chmod` counts them."
    digest: str = ""
    "BLAKE3 in hex; empty while nobody has read the file whole."
    by: str = ""
    "The account that put it; empty for what came by hand."
    at: int = 0
    "When it was put."
    target: str = ""
    "Where a link leads; links are shown, and never followed by the server."


class FileList(msgspec.Struct, frozen=True):
    """A page of a folder, by name. `next`: ask again with `after` this; None, that is all.

    `unnamed` counts entries put there by hand whose names cannot be used here.
    """

    path: str
    entries: list[File]
    next: str | None
    unnamed: int = 0


class Usage(msgspec.Struct, frozen=True):
    """What is taken and what is left, in bytes; a quota of 0 is none."""

    account: str
    used: int
    files: int
    quota: int
    all_used: int
    all_files: int
    all_quota: int
    disk_free: int
    disk_total: int
    interrupted: int = 0
    "What lies here of interrupted uploads of the account, besides `used`: kept for whoever puts the same again."
    interrupted_files: int = 0
    interrupted_until: int = 0
    "When the oldest of them is removed, in unix milliseconds; 0 without any."


class Abandoned(msgspec.Struct, frozen=True):
    """What is kept of interrupted uploads no more, in bytes on the disk."""

    bytes: int
    files: int


class Reading(msgspec.Struct, frozen=True):
    """A file open for reading: `fd` belongs to whoever has this. `digest` is None while nobody has read it whole."""

    path: str
    parts: Parts
    opened: Opened
    digest: bytes | None
    since: int
    "When it was opened, in unix milliseconds."

    @property
    def fd(self) -> int:
        return self.opened.fd

    @property
    def facts(self) -> Facts:
        return self.opened.facts


def told(facts: Facts, entry: Entry | None) -> File:
    """What is told of an entry; what the catalogue says of another file is not believed."""
    plain = File(facts.name, facts.kind, facts.size, facts.mtime_ns // 1_000_000, facts.mode, target=facts.target)
    if entry is None or not entry.holds(facts):
        return plain
    digest = entry.digest.hex() if entry.digest else ""
    return msgspec.structs.replace(plain, digest=digest, by=entry.by, at=entry.at)
