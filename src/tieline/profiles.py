"""Profiles: who this machine is at which server. One small TOML file each, readable by its user alone.

Goes in and out: a Profile. A file that others may read is refused, because it holds the device's key; writing is
atomic, so there is the old profile or the new one and never a part.
"""

import json
import os
import re
import shlex
import stat
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from .errors import ConfigError

DEFAULT_NAME = "default"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, kw_only=True)
class Profile:
    """What `tieline join` learned: where the server is, which certificate it shows, and who we are there."""

    address: str
    account: str
    device: str
    key: str = field(repr=False)
    pin: str = ""
    "SHA-256 of the server's certificate in hex; empty where no TLS is spoken."


def folder(environment: Mapping[str, str] | None = None) -> Path:
    """Where profiles live: under TIELINE_CONFIG, else under the user's configuration folder."""
    configured = (os.environ if environment is None else environment).get("TIELINE_CONFIG")
    if configured:
        return Path(configured).expanduser() / "profiles"
    from platformdirs import user_config_dir

    return Path(user_config_dir("tieline", appauthor=False)) / "profiles"


def names() -> list[str]:
    """The profiles there are, sorted."""
    try:
        return sorted(path.stem for path in folder().iterdir() if path.suffix == ".toml" and _NAME.fullmatch(path.stem))
    except OSError:
        return []


def path_of(name: str) -> Path:
    """The file of a profile; ConfigError for a name that could lead anywhere else."""
    if not _NAME.fullmatch(name):
        raise ConfigError("profile", f"{name!r} is not a profile name; use letters, digits, '.', '-' and '_'")
    return folder() / f"{name}.toml"


def read(name: str) -> Profile | None:
    """The profile, or None if there is none; ConfigError when it is unreadable, damaged, or readable by others."""
    path = path_of(name)
    try:
        with path.open("rb") as file:
            _refuse_if_shared(path, os.fstat(file.fileno()).st_mode)
            return _decode(path, file.read())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError("profile", f"{path} cannot be read: {error.strerror}") from error


def known(name: str) -> Profile:
    """The profile; ConfigError that says what to type when there is none."""
    profile = read(name)
    if profile is None:
        others = ", ".join(names())
        there = f"there are {others}" if others else "there is none yet"
        raise ConfigError("profile", f"there is no {name!r}; {there}. `tieline join TICKET --profile {name}` makes it")
    return profile


def write(name: str, profile: Profile) -> Path:
    """Put the profile on disk, replacing one of the same name, and return its path."""
    path = path_of(name)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _replace(path, _encode(profile))
    except OSError as error:
        raise ConfigError("profile", f"{path} cannot be written: {error.strerror}") from error
    return path


def rename(name: str, new: str) -> None:
    """Give a profile another name, replacing one that had it."""
    try:
        os.replace(path_of(name), path_of(new))
    except OSError as error:
        raise ConfigError("profile", f"{path_of(new)} cannot be written: {error.strerror}") from error


def remove(name: str) -> None:
    """Take a profile away, if it is there."""
    path_of(name).unlink(missing_ok=True)


def _refuse_if_shared(path: Path, mode: int) -> None:
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(
            "profile",
            f"{path} holds a secret key that others on this machine may read; type: chmod 600 {shlex.quote(str(path))}",
        )


def _decode(path: Path, content: bytes) -> Profile:
    import tomllib

    try:
        values = tomllib.loads(content.decode())
    except ValueError as error:
        raise ConfigError("profile", f"{path} is not TOML: {error}; `tieline join` with a fresh ticket") from error
    known = {each.name for each in fields(Profile)}
    wrong = [name for name in known - {"pin"} if not isinstance(values.get(name), str)]
    wrong += [name for name, value in values.items() if name not in known or not isinstance(value, str)]
    if wrong:
        raise ConfigError("profile", f"{path}: {wrong[0]!r} is missing, unknown or not text; join with a fresh ticket")
    return Profile(**values)


def _encode(profile: Profile) -> bytes:
    # A JSON string is a TOML basic string but for DEL, which TOML wants escaped.
    lines = [
        f"{name} = {json.dumps(value, ensure_ascii=False)}\n".replace("\x7f", "\\u007f")
        for name, value in asdict(profile).items()
    ]
    return "".join(lines).encode()


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    folder_handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder_handle)
    finally:
        os.close(folder_handle)
