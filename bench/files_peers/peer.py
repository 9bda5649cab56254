"""A contender of the files group: it stores files in a folder of its own, and puts and gets by its own means."""

import resource
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, ClassVar, Self

from ..certificate import Certificate


class Peer:
    """A contender while it runs. `put` and `get` return the seconds of the transfer itself."""

    name: ClassVar[str]
    programs: ClassVar[tuple[str, ...]] = ()
    takes_folders = True
    takes_large = True
    keeps = True
    "Whether what it receives lies somewhere afterwards."

    def __init__(self, folder: Path, certificate: Certificate) -> None:
        self.folder = folder
        self.certificate = certificate

    @classmethod
    def missing(cls) -> str | None:
        absent = [program for program in cls.programs if shutil.which(program) is None]
        return f"without {cls.name}: {', '.join(absent)} not installed" if absent else None

    def stored(self, name: str) -> Path:
        """Where it keeps what was put under this name."""
        return self.folder / "files" / name

    def have(self, source: Path, name: str) -> None:
        """Let it have this already."""
        target = self.stored(name)
        if target.exists():
            return
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copyfile(source, target)

    def put(self, source: Path, name: str) -> float:
        raise NotImplementedError

    def get(self, name: str, target: Path) -> float:
        raise NotImplementedError

    def client_cpu(self) -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    def server_cpu(self) -> float:
        raise NotImplementedError

    def __enter__(self) -> Self:
        (self.folder / "files").mkdir(exist_ok=True)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None: ...

    def stop(self) -> None: ...


def run_timed(command: list[str], **options: Any) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **options)
    return time.perf_counter() - began
