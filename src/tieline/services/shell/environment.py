"""The environment a command runs in, and which file its name means. Pure but for looking files up.

A command gets a few variables of this machine's own and those its caller gave. Variables that would change what a
program is, rather than what it is told, are refused by name; nothing is dropped in silence.
"""

import os
import re
from collections.abc import Mapping

from tieline.errors import Denied, InvalidArgument, NotFound

KEPT = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TERM", "TZ", "TMPDIR"})
_KEPT_FAMILIES = ("LC_",)
_REFUSED = re.compile(
    r"(LD|DYLD|MALLOC|BASH_FUNC|TIELINE|RESOLV)_.*|PYTHON.*|PERL5.*|PERLLIB|RUBY(OPT|LIB)|NODE_(OPTIONS|PATH)"
    r"|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|GLIBC_TUNABLES|GCONV_PATH|GETCONF_DIR|LOCPATH|NLSPATH"
    r"|PATH|IFS|ENV|BASH_ENV|SHELLOPTS|BASHOPTS|PS4|HOSTALIASES|LOCALDOMAIN|RES_OPTIONS|TERMINFO(_DIRS)?"
)
_NARROWED = re.compile(r"TERM|TZ|LANG|LANGUAGE|LC_[A-Z]+")
"All that who is narrowed to programs may give them: by others many programs run whatever they are told."
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def kept(own: Mapping[str, str]) -> dict[str, str]:
    """What commands get of this machine's own environment."""
    found = {name: value for name, value in own.items() if name in KEPT or name.startswith(_KEPT_FAMILIES)}
    found.setdefault("PATH", os.defpath)
    found.setdefault("HOME", os.path.expanduser("~"))
    return found


def check(given: Mapping[str, str]) -> None:
    """Raises Denied for a variable that is not taken over, InvalidArgument for what is none."""
    for name, value in given.items():
        if not _NAME.fullmatch(name) or "\0" in value:
            raise InvalidArgument(f"env: {name[:40]!r} cannot be a variable, or its value not one")
        if _REFUSED.fullmatch(name):
            raise Denied(f"the variable {name} is not taken over: it could change which program runs")


def check_narrowed(given: Mapping[str, str]) -> None:
    """Raises Denied."""
    for name in given:
        if not _NARROWED.fullmatch(name):
            raise Denied(
                f"an account that may run certain programs only sets no other variables than TERM, TZ and "
                f"the language's: not {name[:40]}"
            )


def find(name: str, folder: str, path: str) -> str:
    """The file that a command's name means, as `execvp` finds it, but for places of PATH that depend on the folder.

    Raises NotFound, and Denied for one that cannot be run.
    """
    if "/" in name:
        file = os.path.join(folder, name)
        if _is_program(file):
            return file
        if not os.path.exists(file):
            raise NotFound(f"there is no {name} on that machine", {"command": name})
        raise Denied(f"{name} is not a program that can be run there", {"command": name})
    for place in path.split(os.pathsep):
        file = f"{place}/{name}"
        if place.startswith("/") and _is_program(file):
            return file
    raise NotFound(f"there is no command {name[:80]!r} on that machine; its PATH is {path[:200]}", {"command": name})


def _is_program(file: str) -> bool:
    return os.access(file, os.X_OK) and os.path.isfile(file)
