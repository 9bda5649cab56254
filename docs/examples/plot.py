"""Another machine: a plot of what the sensor's machine measures, a line for each value."""

import sys

import tieline.sync


def main(profile: str, machine: str, count: int) -> None:
    with tieline.sync.connect(profile=profile) as peer, peer.stream(f"{machine}/sensor.watch", every=0.05) as values:
        for value, _ in zip(values, range(count), strict=False):
            print(f"{value:6.2f} {'*' * round((value - 18) * 10)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
