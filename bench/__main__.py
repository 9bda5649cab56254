"""`python -m bench`: measure, print tables, write bench/results/."""

import argparse
import datetime
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path

from . import (
    calls,
    certificate,
    commands,
    durable,
    fanout,
    files,
    goals,
    idle,
    raw_datagrams,
    raw_level,
    raw_upload,
    relayed,
    report,
)
from .contest import Contest
from .processes import allow_many_files
from .setup import Setup

GROUPS = {
    "calls": calls.run,
    "relayed": relayed.run,
    "fanout": fanout.run,
    "durable": durable.run,
    "idle": idle.run,
    "raw": raw_level.run,
    "upload": raw_upload.run,
    "files": files.run,
    "datagrams": raw_datagrams.run,
    "commands": commands.run,
}
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    args = arguments()
    # Leaving by exception runs every `with`, and those end the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended by SIGTERM"))
    allow_many_files()
    RESULTS.mkdir(exist_ok=True)
    if (load := os.getloadavg()[0]) > 0.3:
        print(f"this machine is busy (load {load:.1f}): expect wide brackets, and trust ratios only")
    contests: list[Contest] = []
    with tempfile.TemporaryDirectory(prefix="tieline-bench-", dir=args.disk) as folder:
        # ngircd and mosquitto drop root and must still read their configuration here.
        Path(folder).chmod(0o755)
        setup = chosen(args, Path(folder))
        for group in args.groups:
            for contest in GROUPS[group](setup):
                contests.append(contest)
                print(report.table(contest), flush=True)
    finish(contests, setup)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one short round of everything: shows that it runs, claims nothing"
    )
    parser.add_argument("groups", nargs="*", help=f"what to measure, of {', '.join(GROUPS)}; default all")
    parser.add_argument("--only", type=listed, default=[], help="the same, by comma")
    parser.add_argument("--peers", type=listed, default=[], help="contenders, by comma; default all that are installed")
    parser.add_argument("--transports", type=listed, default=[], help="tcp,tls")
    parser.add_argument("--rounds", type=int, help="default 5")
    parser.add_argument("--seconds", type=float, help="of each measurement; default 1.5")
    parser.add_argument("--disk", help="folder for scratch files; the disk that durable posts are measured on")
    args = parser.parse_args()
    args.groups = [*args.groups, *args.only] or list(GROUPS)
    if unknown := set(args.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(unknown)}; there are {', '.join(GROUPS)}")
    return args


def listed(text: str) -> list[str]:
    return [part for part in text.split(",") if part]


def chosen(args: argparse.Namespace, folder: Path) -> Setup:
    setup = Setup(folder, certificate.make(folder), quick=args.quick)
    setup.only_contenders = frozenset(args.peers)
    setup.only_transports = frozenset(args.transports)
    if args.quick:
        setup.rounds, setup.seconds, setup.warm = 1, 0.3, 0.1
    setup.rounds = args.rounds or setup.rounds
    setup.seconds = args.seconds or setup.seconds
    return setup


def finish(contests: list[Contest], setup: Setup) -> None:
    if told := goals.verdicts(contests):
        print("\ngoals" + ("  (a quick run proves nothing)" if setup.quick else ""))
        print("\n".join(f"  {line}" for line in told))
    for line in setup.left_out:
        print(f"  {line}")
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    about = {
        "when": stamp,
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "rounds": setup.rounds,
        "seconds": setup.seconds,
        "quick": setup.quick,
        "left out": setup.left_out,
    }
    report.write_json(RESULTS / f"{stamp}.json", contests, about)
    print(f"\nfigures: {RESULTS / f'{stamp}.json'}")
    print(report.write_plot(RESULTS / f"{stamp}.png", contests))


if __name__ == "__main__":
    main()
