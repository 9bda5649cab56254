"""Spans of time on the command line: 90, 90s, 15m, 24h, 7d."""

import re
from typing import Any

import click

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Duration(click.ParamType[float]):
    """A span of time, as seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", str(value).strip().lower())
        if match is None or not float(match[1]):
            self.fail(f"{value!r} is not a span of time; write 90s, 15m, 24h or 7d", param, ctx)
        return float(match[1]) * _UNITS[match[2]]
