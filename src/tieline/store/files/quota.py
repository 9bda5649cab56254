"""How much may still be put: for each account, in all, and on the disk. Any thread; facts in, refusals out.

What an upload will take is reserved before its first byte, and given back when the catalogue counts the file instead.
"""

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Self

from tieline.errors import InvalidArgument, TooLarge, Unavailable
from tieline.limits import DEFAULT, MiB
from tieline.store.files.catalogue import Sums
from tieline.store.files.tree import Space
from tieline.store.files.trouble import place

MARGIN = 64 * MiB
"Bytes that stay free on the disk, for the database and the system."
MARGIN_FILES = 4096
"Files and folders that the disk still takes then, where those are counted too."


class Reservation:
    """Room for one upload, until `release()`. As a context manager it is released on leaving."""

    __slots__ = ("_quota", "account", "size", "written")

    def __init__(self, quota: "Quota", account: str) -> None:
        self._quota = quota
        self.account = account
        self.size = 0
        self.written = 0

    def grow(self, size: int) -> None:
        """So many bytes more are to come. Raises what `Quota.reserve` raises."""
        self._quota._grow(self, size)

    def wrote(self, size: int) -> None:
        """So many bytes of it are on the disk already, where its free space shows them."""
        self._quota._wrote(self, size)

    def split(self) -> "Reservation":
        """What is reserved so far, as one of its own; this goes on with nothing."""
        return self._quota._split(self)

    def release(self) -> None:
        """It is over: published and in the catalogue, or given up. Fine to call twice."""
        self._quota._release(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def __repr__(self) -> str:
        return f"<Reservation {self.account} {self.size:,} B, {self.written:,} written>"


class Quota:
    """`each` and `all` in bytes, 0 for no bound; `space()` is what the disk has left; `files` of one account at most.

    `used` is told by whoever counts (the catalogue's sums); until it is, nothing counts as used.
    """

    def __init__(self, each: int, all: int, space: Callable[[], Space], files: int = DEFAULT.files_per_account) -> None:
        self.each = each
        self.all = all
        self.files = files
        self._space = space
        self._used: dict[str, int] = {}
        self._files: dict[str, int] = {}
        self._reserved: Counter[str] = Counter()
        self._unwritten = 0
        self._lock = threading.Lock()

    def used(self, sums: Mapping[str, Sums]) -> None:
        """What the files of each account take now."""
        with self._lock:
            self._used = {account: each.bytes for account, each in sums.items()}
            self._files = {account: each.files for account, each in sums.items()}

    def one_more(self) -> None:
        """For what takes no bytes to speak of, a folder or a link. Raises Unavailable when the disk takes no more."""
        _check_files(self._space())

    def reserve(self, account: str, size: int) -> Reservation:
        """Room for an upload of so many bytes (0 for one that will `grow`).

        Raises TooLarge with the facts when a quota would be passed, Unavailable when the disk has no room.
        """
        reservation = Reservation(self, account)
        self._grow(reservation, size)
        return reservation

    def left(self, account: str) -> int | None:
        """Bytes this account may still put by the quotas; None without a bound."""
        with self._lock:
            bounds = [bound - taken for bound, taken in self._bounds(account) if bound]
        return max(0, min(bounds)) if bounds else None

    def __repr__(self) -> str:
        return f"<Quota {self.each or 'no'} each, {self.all or 'no'} in all, {sum(self._reserved.values()):,} reserved>"

    # -- for reservations ----------------------------------------------------------------------------------------

    def _grow(self, reservation: Reservation, size: int) -> None:
        if size < 0:
            raise InvalidArgument(f"a file cannot have {size:,} bytes")
        space = self._space()
        _check_files(space)
        with self._lock:
            self._check_quotas(reservation.account, size)
            if self._unwritten + size + MARGIN > space.free:
                raise Unavailable(
                    f"{size:,} bytes more do not fit on {place().disk}, which has {space.free:,} left; "
                    "its owner must make room",
                    {"asked": size, "free": space.free},
                )
            reservation.size += size
            self._reserved[reservation.account] += size
            self._unwritten += size

    def _check_quotas(self, account: str, size: int) -> None:
        if self._files.get(account, 0) >= self.files:
            raise TooLarge(
                f"{account} has {self.files:,} files, and no account may have more; remove some",
                {"files": self.files},
            )
        for (bound, taken), whose in zip(self._bounds(account), ("your files", "all files here"), strict=True):
            if bound and taken + size > bound:
                raise TooLarge(
                    f"{size:,} bytes more do not fit: {whose} take {taken:,} "
                    f"of {bound:,}; remove some, or ask the owner of the server for more",
                    {"asked": size, "used": taken, "quota": bound},
                )

    def _wrote(self, reservation: Reservation, size: int) -> None:
        with self._lock:
            size = max(0, min(size, reservation.size - reservation.written))
            reservation.written += size
            self._unwritten -= size

    def _split(self, reservation: Reservation) -> Reservation:
        other = Reservation(self, reservation.account)
        with self._lock:
            other.size, other.written = reservation.size, reservation.written
            reservation.size = reservation.written = 0
        return other

    def _release(self, reservation: Reservation) -> None:
        with self._lock:
            self._reserved[reservation.account] -= reservation.size
            self._unwritten -= reservation.size - reservation.written
            if not self._reserved[reservation.account]:
                del self._reserved[reservation.account]
            reservation.size = reservation.written = 0

    def _bounds(self, account: str) -> tuple[tuple[int, int], tuple[int, int]]:
        """Bound and what is taken of it, for the account and in all."""
        mine = self._used.get(account, 0) + self._reserved[account]
        return (self.each, mine), (self.all, sum(self._used.values()) + sum(self._reserved.values()))


def _check_files(space: Space) -> None:
    if space.files is not None and space.files < MARGIN_FILES:
        raise Unavailable(
            f"{place().disk} takes only {space.files:,} files more, whatever their size; its owner must make room",
            {"files": space.files},
        )
