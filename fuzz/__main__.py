"""`python -m fuzz [--seconds N] [--seed S] [--round R] [target…]`: every target for so long, or one round again."""

import argparse
import importlib
import pkgutil
import secrets
import sys
import time
from random import Random
from types import ModuleType

import fuzz

_NOT_TARGETS = {"__main__", "material"}


def targets() -> list[str]:
    return sorted(name for _, name, _ in pkgutil.iter_modules(fuzz.__path__) if name not in _NOT_TARGETS)


def target(name: str) -> ModuleType:
    return importlib.import_module(f"fuzz.{name}")


def dice_of(seed: str, round_number: int) -> Random:
    return Random(f"{seed}/{round_number}")


def run(name: str, seed: str, seconds: float) -> int:
    """Rounds until the time is over; returns how many. What a round raises comes with how to repeat it."""
    once = target(name).once
    end, count = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        try:
            once(dice_of(seed, count))
        except BaseException:
            print(f"\nagain: python -m fuzz --seed {seed} --round {count} {name}", file=sys.stderr)
            raise
        count += 1
    return count


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="for each target (default: %(default)s)")
    parser.add_argument("--seed", default="", help="what the dice begin with (default: a new one)")
    parser.add_argument("--round", type=int, help="this round only")
    parser.add_argument("target", nargs="*", choices=[*targets(), []], help=", ".join(targets()))
    options = parser.parse_args()
    seed = options.seed or secrets.token_hex(4)
    print(f"seed {seed}")
    for name in options.target or targets():
        if options.round is not None:
            target(name).once(dice_of(seed, options.round))
            continue
        invariant = (target(name).__doc__ or "").splitlines()[0]
        print(f"{name:10} {run(name, seed, options.seconds):>9,} rounds  {invariant}", flush=True)


if __name__ == "__main__":
    main()
