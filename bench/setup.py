"""What one run of the bench is told: how long, how often, which, and where its files lie. Handed to every group."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .certificate import Certificate
from .peers import Contender

MEMORY = Path("/dev/shm")


@dataclass
class Setup:
    folder: Path
    "Scratch of this run, on the disk that the durable posts are measured on."
    certificate: Certificate
    rounds: int = 5
    seconds: float = 1.5
    "Of each single measurement, after warming up."
    warm: float = 0.4
    quick: bool = False
    "Few and small: shows that everything works, claims nothing."
    only_contenders: frozenset[str] = frozenset()
    only_transports: frozenset[str] = frozenset()
    left_out: list[str] = field(default_factory=list)

    @property
    def memory(self) -> Path:
        """A folder that lies in memory; where the system has none, that of the run."""
        return MEMORY if os.access(MEMORY, os.W_OK) else self.folder

    def transports(self) -> Iterator[tuple[str, str | None]]:
        """Name of the transport, and the folder of the certificate where there is TLS."""
        for name, tls in (("tcp", None), ("tls", str(self.certificate.cert.parent))):
            if not self.only_transports or name in self.only_transports:
                yield name, tls

    def present(self, contenders: Sequence[Contender]) -> list[str]:
        """The names of those that can run here; a line for each that cannot."""
        names = []
        for contender in contenders:
            if self.only_contenders and contender.name not in self.only_contenders:
                continue
            if why := contender.missing():
                if why not in self.left_out:
                    self.left_out.append(why)
                    print(why, flush=True)
            else:
                names.append(contender.name)
        return names
