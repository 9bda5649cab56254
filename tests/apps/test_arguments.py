"""A call's parameters as people type them."""

from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.apps.cli.arguments import read_parameters
from tieline.apps.cli.durations import Duration
from tieline.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "parameters"),
    [
        ([], {}),
        (["name=Ada", "times=2"], {"name": "Ada", "times": 2}),
        (["on=true", "none=null", "x=1.5", 'text="3"'], {"on": True, "none": None, "x": 1.5, "text": "3"}),
        (['tags=["a","b"]', 'at={"x":1}'], {"tags": ["a", "b"], "at": {"x": 1}}),
        (["text=a=b", "empty=", "nan=NaN", "open=[1,"], {"text": "a=b", "empty": "", "nan": "NaN", "open": "[1,"}),
        (['{"name": "Ada", "times": 2}'], {"name": "Ada", "times": 2}),
    ],
)
def test_words_become_parameters(words: list[str], parameters: dict[str, Any]) -> None:
    assert read_parameters(words) == parameters


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Ada"], "'Ada' is neither key=value nor a JSON object"),
        (["=3"], "neither key=value"),
        (["a=1", "a=2"], "'a' is given twice"),
        (['{"a":'], "not a JSON object"),
        (["{}", "a=1"], "neither key=value"),
        (["{" * 100_000], "not a JSON object"),
    ],
)
def test_what_is_no_parameter_is_named(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read_parameters(words)


@given(st.text())
def test_any_value_is_taken(value: str) -> None:
    assert "key" in read_parameters([f"key={value}"])


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("24h", 86400), ("7d", 604800), ("1.5H", 5400)]
)
def test_spans_of_time(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.parametrize("text", ["", "0", "-1h", "1w", "h", "1h30m", "nan"])
def test_what_is_no_span_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="24h"):
        Duration().convert(text, None, None)
