"""What values settings may have, and how to read them from text and from TOML. Pure."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import AddressError


@dataclass(frozen=True)
class Kind:
    """What values of a setting may look like: `accepts` for people, `parse` raises ValueError with the reason.

    `parse` gets the value (text from flags and environment, any TOML type from a file) and the folder that relative
    paths are relative to.
    """

    accepts: str
    parse: Callable[[Any, Path], Any]
    many: bool = False
    switch: bool = False


def _text(value: Any, folder: Path) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError
    return value.strip()


def _path(value: Any, folder: Path) -> Path:
    return folder / Path(_text(value, folder)).expanduser()


_SWITCH = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}


def _switch(value: Any, folder: Path) -> bool:
    if isinstance(value, bool):
        return value
    if not isinstance(value, str) or value.lower() not in _SWITCH:
        raise ValueError
    return _SWITCH[value.lower()]


_UNITS = {"": 0, "k": 10, "m": 20, "g": 30, "t": 40}


def _size(value: Any, folder: Path) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    found = (
        re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,3})?)\s*([kmgt]?)(?:i?b)?", value.strip().lower())
        if isinstance(value, str)
        else None
    )
    if found is None:
        raise ValueError
    return int(float(found[1]) * (1 << _UNITS[found[2]]))


def _addresses(value: Any, folder: Path) -> tuple[str, ...]:
    from .transports.address import parse

    given = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not given:
        raise ValueError
    for address in given:
        try:
            parse(_text(address, folder))
        except AddressError as error:
            raise ValueError(str(error)) from error
    return tuple(given)


def one_of(*choices: str) -> Kind:
    def parse(value: Any, folder: Path) -> str:
        if not isinstance(value, str) or value.lower() not in choices:
            raise ValueError
        return value.lower()

    return Kind(" or ".join((", ".join(choices[:-1]), choices[-1])), parse)


TEXT = Kind("text that is not empty", _text)
PATH = Kind("a path; in a file, relative to that file's folder", _path)
SIZE = Kind("bytes, or with a unit of 1024: 500M, 20G, 1.5T; 0 for no bound", _size)
SWITCH = Kind("true or false", _switch, switch=True)
ADDRESSES = Kind(
    "addresses like :7788, host:port, [::1]:7788, tcp://…, tls://… or unix:/path; several in the environment are "
    "separated by spaces, in a file they are a list",
    _addresses,
    many=True,
)
