"""Ids of messages: never twice, and in the order of time."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import tieline


def test_many_threads_get_no_id_twice() -> None:
    with ThreadPoolExecutor(8) as pool:
        made = [id for ids in pool.map(lambda _: [tieline.message_id() for _ in range(5000)], range(8)) for id in ids]
    assert len(set(made)) == len(made)


def test_they_grow_as_long_as_the_clock_does() -> None:
    made = [tieline.message_id() for _ in range(20_000)]
    assert made == sorted(made)
    assert max(map(len, made)) <= tieline.Limits().message_id


FORKED = """
import os
import tieline

tieline.message_id()
child = os.fork()
made = "".join(tieline.message_id()[12:] + chr(10) for _ in range(100))
os.write(1, made.encode())  # in one piece, whatever the other process writes meanwhile
if child:
    os.waitpid(child, 0)
"""


def test_a_forked_process_makes_ids_of_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, check=True)
    made = done.stdout.split()
    assert len(made) == len({*made}) == 200
