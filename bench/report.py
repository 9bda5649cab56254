"""Contests to text, JSON and a plot. Reads figures, measures nothing."""

import json
from collections.abc import Sequence
from pathlib import Path

from .contest import Contest, Metric, Summary

OURS = "tieline"


def table(contest: Contest) -> str:
    """One table per group; within a case the best of the leading metric stands first."""
    lines = [f"\n{contest.group}  (median of {len(contest.rounds)} rounds, least–greatest)"]
    leading = contest.metrics[0]
    for case in contest.cases:
        rows = [["", *(metric.label for metric in contest.metrics), f"{OURS} ÷ this: {leading.label}"]]
        rows += [_row(contest, case, name) for name in _ordered(contest, case, leading)]
        lines += ["", f"  {case}", *_aligned(rows)]
    lines += [f"  ! {remark}" for remark in contest.remarks]
    return "\n".join(lines)


def _ordered(contest: Contest, case: str, leading: Metric) -> list[str]:
    def median(name: str) -> float:
        summary = contest.summary(case, name, leading.key)
        return summary.median if summary else 0.0

    return sorted(contest.contenders(case), key=median, reverse=leading.more_is_better)


def _row(contest: Contest, case: str, name: str) -> list[str]:
    cells = [spread(contest.summary(case, name, metric.key)) for metric in contest.metrics]
    ratio = contest.ratio(case, OURS, name, contest.metrics[0].key)
    return [name, *cells, ratio_text(ratio) if ratio and name != OURS else ""]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "    "
        + row[0].ljust(widths[0])
        + "".join("  " + cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]


def number(value: float) -> str:
    for size, unit in ((1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            scaled = value / (1e6 if unit == "M" else 1e3)
            return f"{scaled:.3g}{unit}" if scaled < 1000 else f"{scaled:.0f}{unit}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def spread(summary: Summary | None) -> str:
    if summary is None:
        return "-"
    if summary.least == summary.greatest:
        return number(summary.median)
    return f"{number(summary.median)} ({number(summary.least)}–{number(summary.greatest)})"


def ratio_text(summary: Summary) -> str:
    if summary.least == summary.greatest:
        return f"{summary.median:.2f}×"
    return f"{summary.median:.2f}× ({summary.least:.2f}–{summary.greatest:.2f})"


def write_json(path: Path, contests: Sequence[Contest], about: dict[str, object]) -> None:
    path.write_text(json.dumps({"about": about, "contests": [one.as_json() for one in contests]}, indent=1) + "\n")


def write_plot(path: Path, contests: Sequence[Contest]) -> str:
    """A row per group, a panel per case, a bar per contender. Says in one line what it did."""
    try:
        import matplotlib
    except ImportError:
        return "no plot: matplotlib is not installed (pip install matplotlib)"
    matplotlib.use("Agg")
    from matplotlib import pyplot

    drawn = [one for one in contests if one.cases]
    if not drawn:
        return "no plot: nothing was measured"
    columns = max(len(one.cases) for one in drawn)
    figure, grid = pyplot.subplots(len(drawn), columns, figsize=(4.6 * columns, 2.7 * len(drawn)), squeeze=False)
    for row, contest in zip(grid, drawn, strict=True):
        for axes in row[len(contest.cases) :]:
            axes.set_visible(False)
        for axes, case in zip(row, contest.cases, strict=False):
            _draw(axes, contest, case)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
    return f"plot: {path}"


def _draw(axes: object, contest: Contest, case: str) -> None:
    leading = contest.metrics[0]
    measured = [(name, contest.summary(case, name, leading.key)) for name in reversed(_ordered(contest, case, leading))]
    bars = [(name, summary) for name, summary in measured if summary]
    medians = [summary.median for _, summary in bars]
    reach = [
        [summary.median - summary.least for _, summary in bars],
        [summary.greatest - summary.median for _, summary in bars],
    ]
    colors = ["#d9662b" if name == OURS else "#7a8fa6" for name, _ in bars]
    axes.barh([name for name, _ in bars], medians, xerr=reach, color=colors, ecolor="#333333", capsize=2)  # type: ignore[attr-defined]
    axes.set_title(f"{contest.group}: {case}\n{leading.label}", fontsize=8)  # type: ignore[attr-defined]
    axes.tick_params(labelsize=7)  # type: ignore[attr-defined]
