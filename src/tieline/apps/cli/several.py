"""The same for several paths: each is tried, what fails is said, and the exit code is that of the first failure."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import click

from tieline.errors import CallError, NotFound
from tieline.wire.safe_text import safe_text

from .exit_codes import ExitCode, exit_code
from .output import note

T = TypeVar("T")


async def each_path(
    paths: Sequence[str], act: Callable[[str], Awaitable[T]], *, absent_is_fine: bool = False
) -> list[T]:
    """What came of those that worked. Raises the only error there is as it is; for several, click's Exit."""
    done: list[T] = []
    errors: list[CallError] = []
    for path in paths:
        try:
            done.append(await act(path))
        except CallError as error:
            if not (absent_is_fine and isinstance(error, NotFound)):
                errors.append(error)
    if len(errors) == 1 and len(paths) == 1:
        raise errors[0]
    # What all of them lack, such as the folder they were to go to, is said once.
    for failure, times in Counter(map(str, errors)).items():
        note(f"tieline: {safe_text(failure)}{f' ({times} times)' if times > 1 else ''}")
    if errors:
        raise click.exceptions.Exit(exit_code(errors[0]) or ExitCode.FAILED)
    return done
