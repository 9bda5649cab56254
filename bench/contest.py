"""Rounds: every contender once per round, in rotating order, so that whatever else the machine does hits all alike.

Pure but for the measuring it is given. Figures are compared within a round and only then summed up: the median of the
rounds' ratios, with the least and the greatest.
"""

import statistics
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

Figures = dict[str, float]


@dataclass(frozen=True)
class Metric:
    key: str
    label: str
    more_is_better: bool = False


@dataclass(frozen=True)
class Summary:
    """Median, least and greatest of the rounds."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Summary":
        return cls(statistics.median(values), min(values), max(values))


@dataclass
class Contest:
    """The figures of one group, e.g. `calls over tls`: case, contender, round."""

    group: str
    metrics: list[Metric]
    rounds: list[dict[str, dict[str, Figures]]] = field(default_factory=list)
    "One per round: case -> contender -> figures."
    remarks: list[str] = field(default_factory=list)

    def run(self, contenders: Sequence[str], rounds: int, measure: Callable[[str], dict[str, Figures]]) -> None:
        """`measure(contender)` gives case -> figures. One that fails is left out of that round, with a remark."""
        for number in range(rounds):
            current: dict[str, dict[str, Figures]] = {}
            self.rounds.append(current)
            for contender in rotated(contenders, number):
                try:
                    measured = measure(contender)
                except Exception as error:
                    traceback.print_exc()
                    self.remarks.append(f"round {number + 1}: {contender} failed: {error}")
                    continue
                for case, figures in measured.items():
                    current.setdefault(case, {})[contender] = figures

    @property
    def cases(self) -> list[str]:
        return list(dict.fromkeys(case for one in self.rounds for case in one))

    def contenders(self, case: str) -> list[str]:
        return list(dict.fromkeys(name for one in self.rounds for name in sorted(one.get(case, {}))))

    def summary(self, case: str, contender: str, key: str) -> Summary | None:
        values = list(self._values(case, contender, key))
        return Summary.of(values) if values else None

    def ratio(self, case: str, mine: str, other: str, key: str) -> Summary | None:
        """Mine divided by other's, round by round. None where they never met."""
        ratios = [
            one[case][mine][key] / one[case][other][key]
            for one in self.rounds
            if one.get(case, {}).get(mine, {}).get(key) and one[case].get(other, {}).get(key)
        ]
        return Summary.of(ratios) if ratios else None

    def _values(self, case: str, contender: str, key: str) -> Iterator[float]:
        for one in self.rounds:
            if (value := one.get(case, {}).get(contender, {}).get(key)) is not None:
                yield value

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def rotated(contenders: Sequence[str], number: int) -> list[str]:
    shift = number % len(contenders) if contenders else 0
    return [*contenders[shift:], *contenders[:shift]]
