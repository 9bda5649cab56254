"""Files up and down: Tieline beside what people use today, and beside the floor, a bare blocking TLS socket pair.

Everything lies in memory, so that no disk is measured, and that memory was touched before: the first touch of a page
costs several times the later ones here. Programs over ssh go through a connection that is open already (ControlMaster),
curl's handshake is taken off, and Tieline's client is logged in: what is measured is the transfer. Each transfer is
checked, and its target removed before the next.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from .contest import Contest, Figures, Metric
from .files_peers import CONTENDERS, Peer
from .setup import Setup

METRICS = [
    Metric("rate", "MiB/s", more_is_better=True),
    Metric("client_cpu", "client CPU s/GiB"),
    Metric("server_cpu", "server CPU s/GiB"),
]
SMALL_METRICS = [
    Metric("rate", "files/s", more_is_better=True),
    Metric("client_cpu", "client CPU ms/1000"),
    Metric("server_cpu", "server CPU ms/1000"),
]
MiB = 1024 * 1024
SMALL = 4096


def run(setup: Setup) -> list[Contest]:
    sizes = [16] if setup.quick else [256, 1024]
    count = 200 if setup.quick else 5000
    place = setup.memory
    folder = place / f"tieline-bench-files-{os.getpid()}"
    folder.mkdir()
    try:
        fill(folder, sizes, count)
        return measure_all(setup, folder, sizes, count)
    finally:
        shutil.rmtree(folder)


def fill(folder: Path, sizes: list[int], count: int) -> None:
    """The files that travel; and twice that memory is taken and given back."""
    piece = os.urandom(MiB)
    for name in [*map(str, sizes), "touch-1", "touch-2"]:
        with (folder / name).open("wb") as file:
            for number in range(int(name) if name.isdigit() else sizes[-1]):
                file.write(number.to_bytes(8, "big") + piece[8:])
    for name in ("touch-1", "touch-2"):
        (folder / name).unlink()
    (folder / "small").mkdir()
    for number in range(count):
        (folder / "small" / f"file-{number:05}.bin").write_bytes(piece[number * 64 : number * 64 + SMALL])


def measure_all(setup: Setup, folder: Path, sizes: list[int], count: int) -> list[Contest]:
    with ExitStack() as stack:
        peers: dict[str, Peer] = {}
        for name, make in CONTENDERS.items():
            if setup.only_contenders and name not in setup.only_contenders:
                continue
            if why := make.missing():
                setup.left_out.append(why)
                print(why, flush=True)
                continue
            own = folder / f"at-{make.__name__.lower()}"
            own.mkdir()
            peers[name] = stack.enter_context(make(own, setup.certificate))
        contests = []
        for up in (True, False):
            contests += contests_of(peers, setup.rounds, folder, sizes, count, up)
        return contests


def contests_of(
    peers: dict[str, Peer], rounds: int, folder: Path, sizes: list[int], count: int, up: bool
) -> list[Contest]:
    way = "up" if up else "down"
    large, small = Contest(f"large files {way}", METRICS), Contest(f"small files {way}", SMALL_METRICS)
    able = [name for name, peer in peers.items() if peer.takes_large]
    large.run(able, rounds, lambda name: of_sizes(peers[name], folder, sizes, up))
    able = [name for name, peer in peers.items() if peer.takes_folders]
    small.run(able, rounds, lambda name: of_small(peers[name], folder, count, up))
    return [large, small]


def of_sizes(peer: Peer, folder: Path, sizes: list[int], up: bool) -> dict[str, Figures]:
    found = {}
    for size in sizes:
        source = folder / str(size)
        if up:
            took = timed(peer, lambda: peer.put(source, "large"))  # noqa: B023
            arrived = peer.stored("large")
        else:
            peer.have(source, "large")
            arrived = folder / f"back-{type(peer).__name__}"
            took = timed(peer, lambda: peer.get("large", arrived))  # noqa: B023
        if peer.keeps:
            check(source, arrived)
            arrived.unlink()
        if not up and peer.keeps:
            peer.stored("large").unlink()
        gib = size / 1024
        found[f"{size} MiB"] = {
            "rate": size / took["seconds"],
            "client_cpu": took["client_cpu"] / gib,
            "server_cpu": took["server_cpu"] / gib,
        }
    return found


def of_small(peer: Peer, folder: Path, count: int, up: bool) -> dict[str, Figures]:
    source = folder / "small"
    if up:
        took = timed(peer, lambda: peer.put(source, "small"))
        arrived = peer.stored("small")
    else:
        peer.have(source, "small")
        arrived = folder / f"back-{type(peer).__name__}"
        took = timed(peer, lambda: peer.get("small", arrived))
    if len(os.listdir(arrived)) != count:
        raise RuntimeError(f"{len(os.listdir(arrived))} of {count} files arrived")
    shutil.rmtree(arrived)
    shutil.rmtree(peer.stored("small"), ignore_errors=True)
    per = count / 1000 / 1000
    return {
        f"{count} × 4 KiB": {
            "rate": count / took["seconds"],
            "client_cpu": took["client_cpu"] / per,
            "server_cpu": took["server_cpu"] / per,
        }
    }


def timed(peer: Peer, transfer: Callable[[], float]) -> Figures:
    client, server = peer.client_cpu(), peer.server_cpu()
    seconds = transfer()
    return {
        "seconds": seconds,
        "client_cpu": peer.client_cpu() - client,
        "server_cpu": peer.server_cpu() - server,
    }


def check(source: Path, arrived: Path) -> None:
    """The right length, and the right bytes here and there: a full comparison would warm what is measured next."""
    if arrived.stat().st_size != source.stat().st_size:
        raise RuntimeError(f"{arrived} has {arrived.stat().st_size:,} bytes")
    with source.open("rb") as one, arrived.open("rb") as other:
        for at in range(0, source.stat().st_size, 16 * MiB):
            one.seek(at)
            other.seek(at)
            if one.read(64) != other.read(64):
                raise RuntimeError(f"{arrived} differs at {at:,}")
