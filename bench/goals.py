"""What Tieline set out to reach, each as a ratio to a peer of the same run, and whether this run reached it."""

from collections.abc import Sequence
from dataclasses import dataclass

from .contest import Contest
from .report import OURS, ratio_text


@dataclass(frozen=True)
class Goal:
    group: str
    case: str
    key: str
    peer: str
    at_least: float | None = None
    at_most: float | None = None
    ours: str = OURS

    def text(self) -> str:
        bound = f"at least {self.at_least:g}×" if self.at_least is not None else f"at most {self.at_most:g}×"
        return f"{self.group}, {self.case}: {self.key} {bound} {self.peer}'s"

    def verdict(self, contests: Sequence[Contest]) -> str | None:
        """None when this run has not measured both."""
        contest = next((one for one in contests if one.group == self.group), None)
        ratio = contest.ratio(self.case, self.ours, self.peer, self.key) if contest else None
        if ratio is None:
            return None
        met = ratio.median >= self.at_least if self.at_least is not None else ratio.median <= (self.at_most or 0.0)
        return f"{'met   ' if met else 'MISSED'}  {self.text()}: {ratio_text(ratio)}"


def _calls(transport: str, floor: float) -> list[Goal]:
    group = f"calls over {transport}"
    return [
        Goal(group, "one at a time", "p50", "raw", at_most=floor),
        Goal(group, "64 in flight", "rate", "picows", at_least=1.5),
        Goal(group, "64 in flight", "rate", "streams", at_least=3.0),
        Goal(group, "50 callers", "rate", "picows", at_least=0.9),
        Goal(group, "50 callers", "rate", "streams", at_least=1.7),
    ]


def _ahead(transport: str) -> list[Goal]:
    """Of what people reach for today."""
    group = f"calls over {transport}"
    goals = [Goal(group, "one at a time", "rate", peer, at_least=1.0) for peer in ("websockets", "zeromq", "rpyc")]
    goals += [Goal(group, "64 in flight", "rate", peer, at_least=1.0) for peer in ("websockets", "zeromq")]
    return goals + [Goal(group, "50 callers", "rate", peer, at_least=1.0) for peer in ("websockets", "zeromq", "rpyc")]


def _relayed(transport: str) -> list[Goal]:
    group = f"calls through a server over {transport}"
    return [
        # Twice the way is twice the time at best.
        Goal(group, "one at a time", "p50", "tieline", at_most=2.5, ours="relayed"),
        Goal(group, "one at a time", "p50", "nats", at_most=0.8, ours="relayed"),
        Goal(group, "64 in flight", "rate", "nats", at_least=1.3, ours="relayed"),
        Goal(group, "50 callers", "rate", "nats", at_least=1.5, ours="relayed"),
    ]


def _fanout(transport: str) -> list[Goal]:
    return [
        Goal(f"fan-out at saturation over {transport}", "100 subscribers", "rate", "nats", at_least=3.0),
        Goal(f"fan-out at saturation over {transport}", "1000 subscribers", "rate", "nats", at_least=3.0),
        Goal(f"fan-out of single messages over {transport}", "100 subscribers", "server_cpu", "ngircd", at_most=1.2),
    ]


def _durable(transport: str) -> list[Goal]:
    return [
        Goal(f"durable posts over {transport}", f"8 writers, {depth} in flight", "rate", "sqlite", at_least=0.6)
        for depth in (1, 8, 64)
    ]


def _raw(codec: str) -> list[Goal]:
    group = f"raw {codec} over tcp"
    return [
        Goal(group, "64 in flight", "rate", "streams", at_least=1.5),
        # No slower, as far as can be told: nine tenths of it are system calls, the same three for both.
        Goal(group, "one at a time", "rate", "streams", at_least=1.0),
    ]


def _files() -> list[Goal]:
    goals = []
    for way in ("up", "down"):
        for size in ("256 MiB", "1024 MiB"):
            large = f"large files {way}"
            goals += [Goal(large, size, "rate", "tls pair", at_least=0.9)]
            goals += [Goal(large, size, "rate", peer, at_least=1.4) for peer in ("scp", "sftp", "rsync")]
            goals += [Goal(large, size, "rate", "curl + nginx", at_least=1.0)]
        small = f"small files {way}"
        goals += [Goal(small, "5000 × 4 KiB", "rate", "rsync", at_least=2.0)]
        goals += [Goal(small, "5000 × 4 KiB", "rate", "scp", at_least=6.0)]
    return goals


GOALS = [
    *_calls("tcp", 1.15),
    *_calls("tls", 1.3),
    *_ahead("tcp"),
    *_ahead("tls"),
    *_relayed("tcp"),
    *_relayed("tls"),
    *_fanout("tcp"),
    *_fanout("tls"),
    *_durable("tcp"),
    *_durable("tls"),
    *_raw("lines"),
    *_raw("length-prefixed"),
    *_files(),
    Goal("upload over tcp", "1024 MiB", "rate", "bare", at_least=0.9),
    Goal("commands over a held link", "true", "p50", "local", at_most=1.6),
    Goal("commands over a held link", "true", "p50", "asyncssh", at_most=1.0),
    Goal("commands as programs", "true over unix", "p50", "ssh", at_most=1.0),
    Goal("commands as programs", "true over tls", "p50", "ssh", at_most=1.0),
    Goal("output of commands", "1 GiB over unix", "rate", "ssh kept", at_least=2.0),
    Goal("output of commands", "1 GiB over tls", "rate", "ssh kept", at_least=1.0),
]

IDLE_KIB = {"idle links over tcp": 8.0, "idle links over tls": 40.0}
"The most one idle link may cost the server."


def verdicts(contests: Sequence[Contest]) -> list[str]:
    told = [verdict for goal in GOALS if (verdict := goal.verdict(contests))]
    for contest in contests:
        most = IDLE_KIB.get(contest.group)
        for case in contest.cases if most else []:
            if cost := contest.summary(case, OURS, "per_link"):
                met = "met   " if cost.median <= (most or 0) else "MISSED"
                told.append(f"{met}  {contest.group}: at most {most:g} KiB each: {cost.median:.1f} KiB")
    return told
