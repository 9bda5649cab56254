"""Bytes of files over a link: exactly so many, past the codec, without passing through the loop where possible.

On plain sockets a thread of its own moves them between kernel and file, with `sendfile` on the way out, while the
loop leaves that socket alone. TLS and memory links, small files, and transfers beyond `LANES` go by pieces.
"""

import asyncio
import io
import os
from typing import TYPE_CHECKING, BinaryIO

from tieline.errors import ConfigError, ProtocolError
from tieline.limits import KiB
from tieline.link.lane import LANES, Lane, Progress

if TYPE_CHECKING:
    from tieline.link.link import Link

_WORTH_A_THREAD = 512 * KiB
_PIECE = 256 * KiB


async def receive_into(link: "Link", file: BinaryIO, size: int, progress: Progress | None) -> None:
    if size < 0:
        raise ConfigError("size", f"is {size}; it must be 0 or more")
    inbox, done, lane = link._inbox, 0, _lane_for(link, size)
    while done < size:
        if inbox:
            piece = inbox.exactly(min(len(inbox), size - done))
            assert isinstance(piece, bytes)
            await asyncio.to_thread(_write, file, piece)
            done += len(piece)
        elif lane is not None and not inbox.ended:
            done += await lane.receive(file, size - done, _shifted(progress, done))
            lane = None  # if that was not all, the peer is gone, and the loop finds out how
        elif not await link._more():
            link._cut_off(f"after {done} of {size} bytes")
            raise link._over()
        if progress is not None:
            progress(done)


async def send_file(link: "Link", file: BinaryIO, offset: int, size: int | None, progress: Progress | None) -> int:
    there = await asyncio.to_thread(_size, file)
    size = max(0, there - offset) if size is None else size
    if offset < 0 or size < 0 or offset + size > there:
        raise ConfigError("size", f"{size} bytes from {offset} were to be sent of a file that has {there}")
    while link._sending_file:
        await link._drained()
    if link._closing:
        raise link._over()
    link.flush()
    link._sending_file = True
    try:
        lane = _lane_for(link, size) if _is_real(file) else None
        if lane is None:
            await _send_pieces(link, file, offset, size, progress)
        else:
            await _send_by_lane(link, lane, file, offset, size, progress)
    finally:
        link._sending_file = False
        link.writable(True)
    return size


async def _send_by_lane(
    link: "Link", lane: Lane, file: BinaryIO, offset: int, size: int, progress: Progress | None
) -> None:
    """After what the loop still has to send: two writers on one socket would mix their bytes."""
    pause = 0.0
    while link._stream.buffered():
        if link._stream.paused:
            await link._drained()
        else:
            await asyncio.sleep(pause)
            pause = min(0.01, pause + 0.001)
    if link._closing:
        raise link._over()
    sent = await lane.send(file, offset, size, progress)
    if sent < size:
        if link._closing:
            raise link._over()
        raise ProtocolError(f"the file ended after {sent} of {size} bytes", remote=False)
    if progress is not None:
        progress(size)


async def _send_pieces(link: "Link", file: BinaryIO, offset: int, size: int, progress: Progress | None) -> None:
    done = 0
    while done < size:
        piece = await asyncio.to_thread(_read, file, offset + done, min(_PIECE, size - done))
        if not piece:
            raise ProtocolError(f"the file ended after {done} of {size} bytes", remote=False)
        if link._closing:
            raise link._over()
        link._stream.write(piece)
        while link._stream.paused:
            await link._drained()
        done += len(piece)
        if progress is not None:
            progress(done)


def _lane_for(link: "Link", size: int) -> Lane | None:
    sock = link.socket
    if size < _WORTH_A_THREAD or sock is None or link.info.kind == "tls" or Lane.busy >= LANES:
        return None
    return Lane(link)


def _shifted(progress: Progress | None, by: int) -> Progress | None:
    return None if progress is None else lambda done: progress(by + done)


def _is_real(file: BinaryIO) -> bool:
    try:
        file.fileno()
    except (OSError, AttributeError):
        return False
    return True


def _size(file: BinaryIO) -> int:
    if _is_real(file):
        return os.fstat(file.fileno()).st_size
    return file.seek(0, io.SEEK_END)


def _read(file: BinaryIO, at: int, size: int) -> bytes:
    if _is_real(file):
        return os.pread(file.fileno(), size, at)
    file.seek(at)
    return file.read(size)


def _write(file: BinaryIO, data: bytes) -> None:
    """All of it: an unbuffered file may take less at a time."""
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
