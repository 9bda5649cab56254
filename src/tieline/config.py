"""A server's settings, each written once; flags, environment names, the TOML file and the reference page come from it.

Goes in: what was given on the command line, the environment, and a TOML file; the first of these that has a setting
wins, then its default. Comes out: one frozen Config, or a ConfigError that names the setting, where its value came
from and what is accepted. Never makes folders or opens sockets.
"""

import os
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import ConfigError
from .setting_kinds import ADDRESSES, PATH, SIZE, SWITCH, TEXT, Kind, one_of

ENVIRONMENT_PREFIX = "TIELINE_"
FILE_NAME = "tieline.toml"
SOCKET_NAME = "tieline.sock"

# Settings of the client side, which are folders and names only and so need no file.
CLIENT_ENVIRONMENT = {
    "TIELINE_CONFIG": "The folder that holds this user's profiles, instead of the usual one of the operating system.",
    "TIELINE_PROFILE": "The profile that commands use when `--profile` is not given, instead of `default`.",
}


def _notes(kind: Kind, about: str, metavar: str = "", *, default_text: str = "") -> dict[str, Any]:
    return {"kind": kind, "about": about, "metavar": metavar, "default_text": default_text}


def default_data() -> Path:
    """The data folder when nobody says otherwise; a client on the same machine looks here for the socket too."""
    from platformdirs import user_data_dir

    return Path(user_data_dir("tieline", appauthor=False))


def default_name() -> str:
    """What the server calls itself when nobody says otherwise: the machine's name without its domain."""
    import socket

    return socket.gethostname().partition(".")[0] or "tieline"


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything an owner can choose about a server."""

    listen: tuple[str, ...] = field(
        default=(":7788",),
        metadata=_notes(
            ADDRESSES,
            "Where callers reach the server; may be repeated. A Unix socket in the data folder is served besides, for "
            "commands on this machine.",
            "ADDRESS",
        ),
    )
    data: Path = field(
        default_factory=default_data,
        metadata=_notes(
            PATH,
            "The folder that holds the database, the certificate and the Unix socket. Made for this user only (0700).",
            "DIR",
            default_text="the user's data folder (Linux: ~/.local/share/tieline)",
        ),
    )
    name: str = field(
        default_factory=default_name,
        metadata=_notes(
            TEXT, "What the server calls itself to people and programs.", "NAME", default_text="the machine's name"
        ),
    )
    cert: Path | None = field(
        default=None,
        metadata=_notes(
            PATH,
            "A certificate chain (PEM) to show to TLS callers; goes with `key`.",
            "FILE",
            default_text="a self-signed one, made at first start",
        ),
    )
    key: Path | None = field(
        default=None,
        metadata=_notes(
            PATH,
            "The private key (PEM) of the certificate.",
            "FILE",
            default_text="made with the self-signed certificate",
        ),
    )
    allow_plain: bool = field(
        default=False,
        metadata=_notes(
            SWITCH,
            "Serve plain text to other machines too. Names, messages and passwords can then be read on the way.",
        ),
    )
    allow_shell: bool = field(
        default=False,
        metadata=_notes(
            SWITCH,
            "Let accounts with the scope `shell` run commands on this machine, as the user who runs the server.",
        ),
    )
    guests: bool = field(
        default=False,
        metadata=_notes(SWITCH, "Let people in without an account, to chat under a guest name and nothing else."),
    )
    files_quota: int = field(
        default=0,
        metadata=_notes(SIZE, "How much the files of one account may take.", "SIZE", default_text="no bound"),
    )
    files_space: int = field(
        default=0,
        metadata=_notes(
            SIZE, "How much all files together may take.", "SIZE", default_text="what the disk has, but for 64 MiB"
        ),
    )
    log_level: str = field(
        default="info",
        metadata=_notes(one_of("debug", "info", "warning", "error"), "The least that is logged, on stderr.", "LEVEL"),
    )
    json_log: bool = field(
        default=False,
        metadata=_notes(
            SWITCH,
            "Log one JSON object per line instead of text, for programs to read. Nothing else is then written to "
            "stderr, unless that is a terminal.",
        ),
    )

    @property
    def socket(self) -> Path:
        """The Unix socket on which this user's own commands reach the server."""
        return self.data / SOCKET_NAME


@dataclass(frozen=True)
class Setting:
    """One field of Config with all its names."""

    name: str
    kind: Kind
    about: str
    metavar: str
    default: Any
    default_text: str

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def default_shown(self) -> str:
        """The default in words."""
        if self.default_text:
            return self.default_text
        if isinstance(self.default, bool):
            return "on" if self.default else "off"
        return " ".join(self.default) if self.kind.many else str(self.default)

    def parse(self, value: Any, origin: str, folder: Path) -> Any:
        """The value as the server uses it; ConfigError names `origin` ("the environment variable …")."""
        try:
            return self.kind.parse(value, folder)
        except ValueError as error:
            reason = f" ({error})" if str(error) else ""
            shown = " ".join(map(str, value)) if isinstance(value, tuple) else value
            raise ConfigError(
                self.name, f"{shown!r} from {origin} cannot be used{reason}; accepted: {self.kind.accepts}"
            ) from error


def _describe_fields() -> dict[str, Setting]:
    described = {}
    for each in fields(Config):
        default = None if each.default is MISSING else each.default
        described[each.name] = Setting(each.name, default=default, **each.metadata)
    return described


SETTINGS = _describe_fields()


def load(
    flags: Mapping[str, Any] | None = None,
    *,
    environment: Mapping[str, str] | None = None,
    file: Path | None = None,
) -> Config:
    """The Config that these sources give, the first of them that has a setting winning: flags, environment, file.

    A flag that is None or an empty tuple, and an empty environment variable, are not given. Without `file`, the
    `tieline.toml` in the data folder is read if there is one. Environment names nobody knows are left alone (container
    systems invent such names); unknown flags and keys of the file are errors.
    """
    values = _from_flags(flags or {})
    for name, value in _from_environment(os.environ if environment is None else environment).items():
        values.setdefault(name, value)
    for name, value in _from_file(file, values).items():
        values.setdefault(name, value)
    config = Config(**values)
    if (config.cert is None) != (config.key is None):
        given, missing = ("cert", "key") if config.key is None else ("key", "cert")
        raise ConfigError(given, f"a certificate and its private key belong together; set {missing} as well")
    return config


def _from_flags(flags: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for name, value in flags.items():
        if value is not None and value != ():
            setting = SETTINGS[name]
            values[name] = setting.parse(value, f"the flag {setting.flag}", Path.cwd())
    return values


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: setting.parse(environment[setting.variable], f"the environment variable {setting.variable}", Path.cwd())
        for name, setting in SETTINGS.items()
        if environment.get(setting.variable)
    }


def _from_file(file: Path | None, known: Mapping[str, Any]) -> dict[str, Any]:
    data: Path = known.get("data") or default_data()
    path = file or data / FILE_NAME
    values = {}
    for name, value in _read_toml(path, must_exist=file is not None).items():
        setting = SETTINGS.get(name)
        if setting is None:
            raise ConfigError(name, f"{path} has a setting of this name, but there is none; {_known_names(name)}")
        if name == "data" and file is None:
            raise ConfigError(name, f"{path} lies in the data folder and so cannot say where it is; use --data")
        values[name] = setting.parse(value, str(path), path.absolute().parent)
    return values


def _read_toml(path: Path, *, must_exist: bool) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        if must_exist:
            raise ConfigError("--config", f"there is no file {path}") from None
        return {}
    except NotADirectoryError:
        if must_exist:
            raise ConfigError("--config", f"there is no file {path}: {path.parent} is no folder") from None
        raise ConfigError("data", f"{path.parent} is no folder; choose another with --data") from None
    except OSError as error:
        raise ConfigError("--config", f"{path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError("--config", f"{path} is not TOML: {error}") from error


def _known_names(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, SETTINGS, n=1)
    return f"did you mean {near[0]}?" if near else f"the settings are {', '.join(SETTINGS)}"
