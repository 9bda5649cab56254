"""`tieline serve`: the server itself. Its options are the settings of config.py, one for one."""

from pathlib import Path
from typing import Any

import click

from tieline.config import FILE_NAME, SETTINGS, Setting
from tieline.errors import TielineError

from .commands import examples
from .exit_codes import exit_code


def _option(setting: Setting) -> click.Option:
    about = f"{setting.about} [env: {setting.variable}; default: {setting.default_shown}]"
    if setting.kind.switch:
        return click.Option([f"{setting.flag}/--no-{setting.flag[2:]}", setting.name], default=None, help=about)
    return click.Option([setting.flag, setting.name], multiple=setting.kind.many, metavar=setting.metavar, help=about)


_CONFIG = click.Option(
    ["--config", "config_file"],
    metavar="FILE",
    type=click.Path(path_type=Path),
    help=f"A TOML file with any of these settings. [default: {FILE_NAME} in the data folder, if there is one]",
)


def _serve(config_file: Path | None, **flags: Any) -> None:
    from tieline.apps import logs
    from tieline.config import load

    config = load(flags, file=config_file)
    logs.set_up(config.log_level, as_json=config.json_log)
    from .serving import log, run

    try:
        run(config)
    except TielineError as error:
        code = exit_code(error)
        if code is None or not config.json_log:
            raise
        log.error("%s", error)
        raise click.exceptions.Exit(code) from error


serve = click.Command(
    "serve",
    callback=_serve,
    params=[*map(_option, SETTINGS.values()), _CONFIG],
    short_help="Start a server.",
    help="Start a server here, and say how to reach it.\n\n"
    "Without options it makes itself a data folder, a certificate and an owner, and listens on port 7788. "
    "Ctrl-C or SIGTERM lets it finish what is open and stop.",
    epilog=examples(
        "tieline serve",
        "tieline serve --listen 127.0.0.1:7788 --guests",
        "TIELINE_DATA=/srv/tieline tieline serve --json-log",
    ),
)
