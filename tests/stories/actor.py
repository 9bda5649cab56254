"""A program that does what its arguments say, step by step: what commands do with their outputs, input and end.

Also makes such plans by chance. Needs the standard library alone, and little time.
"""

import os
import sys
import time

MiB = 1 << 20


def pattern(seed: int, size: int) -> bytes:
    """Bytes that tell where they belong, all 256 of them."""
    block = bytes((seed + at * at) % 256 for at in range(4093))
    return (block * (size // len(block) + 1))[:size]


def write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest[:300_000]) :]


def both(size: int, seed: int) -> None:
    """Both outputs at once, as fast as they go."""
    child = os.fork()
    if not child:
        write(2, pattern(seed + 1, size))
        os._exit(0)
    write(1, pattern(seed, size))
    os.waitpid(child, 0)


def child(milliseconds: int, text: str) -> None:
    """A child that has the outputs open, and writes when its parent is gone."""
    if not os.fork():
        time.sleep(milliseconds / 1000)
        write(1, text.encode())
        os._exit(3)


def main(steps: list[str]) -> None:
    for step in steps:
        what, *words = step.split(",")
        numbers = [int(word) for word in words if word.lstrip("-").isdigit()]
        match what:
            case "out":
                write(1, pattern(*numbers))
            case "err":
                write(2, pattern(*numbers))
            case "both":
                both(*numbers)
            case "echo":
                while data := os.read(0, 100_000):
                    write(1, data)
            case "count":
                total = 0
                while data := os.read(0, MiB):
                    total += len(data)
                write(1, b"%d\n" % total)
            case "take":
                write(1, os.read(0, numbers[0]))
            case "close":
                os.close(numbers[0])
            case "child":
                child(numbers[0], words[1])
            case "exit":
                sys.stdout = None  # it may be closed
                os._exit(numbers[0])
            case "kill":
                os.kill(os.getpid(), numbers[0])


if __name__ == "__main__":
    main(sys.argv[1:])
