"""Python in both ends: Tieline, and the floors beneath it, a bare TLS socket pair."""

import json
import sys
from pathlib import Path
from typing import ClassVar

from ..processes import cpu_seconds, end, read_json, spawn
from .peer import Peer


class Talking(Peer):
    """Two processes of ours, a server and a client that does what it is told line by line."""

    server_module: ClassVar[str]

    def start(self) -> None:
        files = str(self.certificate.cert.parent)
        self._server = spawn([sys.executable, "-m", f"bench.{self.server_module}", "serve", str(self.folder), files])
        told = read_json(self._server)
        self._client = spawn(
            [sys.executable, "-m", f"bench.{self.server_module}", "client", str(self.folder), files, json.dumps(told)]
        )
        read_json(self._client)

    def stop(self) -> None:
        end(self._client)
        end(self._server)

    def put(self, source: Path, name: str) -> float:
        return self._ask("put", str(source), name)

    def get(self, name: str, target: Path) -> float:
        return self._ask("get", name, str(target))

    def _ask(self, *words: str) -> float:
        assert self._client.stdin
        self._client.stdin.write(json.dumps(words) + "\n")
        self._client.stdin.flush()
        return float(read_json(self._client, 300)["seconds"])

    def client_cpu(self) -> float:
        return cpu_seconds([self._client.pid])

    def server_cpu(self) -> float:
        return cpu_seconds([self._server.pid])


class Tieline(Talking):
    name = "tieline"
    server_module = "files_tieline"

    def stored(self, name: str) -> Path:
        return self.folder / "data" / "files" / name


class Floor(Talking):
    """A bare blocking TLS socket pair, from file to file, nothing verified, nothing named."""

    name = "tls pair"
    server_module = "files_floor"
    takes_folders = False


class MemoryFloor(Talking):
    """The same from memory to nowhere."""

    name = "tls pair in memory"
    server_module = "files_floor"
    takes_folders = False
    keeps = False

    def put(self, source: Path, name: str) -> float:
        return self._ask("put", f"memory:{source.stat().st_size}", "memory")

    def get(self, name: str, target: Path) -> float:
        return self._ask("get", f"memory:{self._size}", "memory")

    def have(self, source: Path, name: str) -> None:
        self._size = source.stat().st_size
