"""A session written down as asciicast v2, for `asciinema play` and its like. Bounded; what is typed is not in it."""

import codecs
import json
import logging
import os
import time
from pathlib import Path

from tieline.limits import MiB

log = logging.getLogger("tieline.shell")
MOST = 64 * MiB
"Bytes of one recording; it says so where it breaks off."


class Recording:
    """One file, readable by the server's user alone."""

    def __init__(self, path: Path, rows: int, columns: int, command: str, term: str) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")  # noqa: SIM115
        self._began = time.monotonic()
        self._text = codecs.getincrementaldecoder("utf-8")("replace")
        self._size = 0
        head = {"version": 2, "width": columns, "height": rows, "timestamp": int(time.time()), "command": command}
        self._write({**head, "env": {"TERM": term}})

    def printed(self, data: bytes) -> None:
        """Output, as it came."""
        if text := self._text.decode(data):
            self._event("o", text)

    def resized(self, rows: int, columns: int) -> None:
        self._event("r", f"{columns}x{rows}")

    def close(self) -> None:
        """Fine to call twice."""
        try:
            self._file.close()
        except OSError as error:  # what was gathered found no room; it counts as closed all the same
            log.error("a recording lacks its end: %s", error)

    def _event(self, kind: str, content: str) -> None:
        if self._file.closed:
            return
        if self._size > MOST:
            self._write([self._now(), "m", "the recording ends here: it has reached its bound"])
            self.close()
            return
        self._write([self._now(), kind, content])

    def _now(self) -> float:
        return round(time.monotonic() - self._began, 6)

    def _write(self, value: object) -> None:
        line = json.dumps(value).encode() + b"\n"
        self._size += len(line)
        try:
            self._file.write(line)
        except OSError as error:  # the disk is full: the session matters more
            log.error("a recording breaks off: %s", error)
            self.close()
