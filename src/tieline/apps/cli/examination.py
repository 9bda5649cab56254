"""The steps from a name to a working login, each tried alone, so that the first that fails is the reason.

Goes in: a target. Comes out: findings, one per step, each a plain sentence and, where something is wrong, what to do.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tieline.transports.address import Address, parse

from .exit_codes import ExitCode
from .target import Target

OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True)
class Finding:
    """What a step found out; `code` is how a command ends that fails for this reason."""

    result: str
    says: str
    do: str = ""
    code: ExitCode = ExitCode.OK
    step: str = ""


@dataclass
class Patient:
    """What is known so far; each step adds what the next one needs."""

    target: Target
    timeout: float
    address: Address = field(init=False)
    hosts: list[str] = field(default_factory=list)
    "Numeric addresses of the name, in the order to try."
    reached: str = ""
    "The one that answered."
    clock_offset: float | None = None
    "Seconds the server's clock is ahead of ours; known after the login."
    round_trip: float = 0.0

    def __post_init__(self) -> None:
        self.address = parse(self.target.address)

    @property
    def pin(self) -> str:
        return self.address.pin or (self.target.profile.pin if self.target.profile else "")


@dataclass(frozen=True)
class Step:
    """One question, and how to answer it; None when it does not arise."""

    name: str
    run: Callable[[Patient], Finding | None]


def examine(target: Target, timeout: float) -> Iterator[Finding]:
    """Go through the steps until one fails. `timeout` bounds each of them."""
    from dataclasses import replace

    from .examination_steps import STEPS

    patient = Patient(target, timeout)
    for step in STEPS:
        finding = step.run(patient)
        if finding is None:
            continue
        yield replace(finding, step=step.name)
        if finding.result == FAILED:
            return


def fine(says: str) -> Finding:
    return Finding(OK, says)


def odd(says: str, do: str) -> Finding:
    """Something to know that need not be wrong."""
    return Finding(WARNING, says, do)


def broken(says: str, do: str, code: ExitCode = ExitCode.UNREACHABLE) -> Finding:
    """The reason why it does not work."""
    return Finding(FAILED, says, do, code)
