"""As many at a time as there are turns, in order, and nobody waits for one that is held up."""

import threading

from tieline.lanes.turns import Turns


def test_no_more_work_at_a_time_than_there_are_turns() -> None:
    turns, lock, now, most = Turns(2), threading.Lock(), 0, 0

    def work() -> None:
        nonlocal now, most
        turns.take()
        for _ in range(200):
            with lock:
                now += 1
                most = max(most, now)
            with lock:
                now -= 1
            turns.pass_on()
        turns.give()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most <= 2
    assert turns._free == 2


def test_whoever_waited_longest_is_next() -> None:
    turns, order = Turns(1), list[int]()
    turns.take()
    threads = []
    for number in range(5):

        def work(number: int = number) -> None:
            turns.take()
            order.append(number)
            turns.give()

        threads.append(threading.Thread(target=work))
        threads[-1].start()
        while len(turns._waiting) <= number:
            pass
    turns.give()
    for thread in threads:
        thread.join(30)
    assert order == sorted(order)


def test_one_that_is_held_up_with_its_turn_holds_nobody_up() -> None:
    turns, slow, done = Turns(1), threading.Event(), threading.Event()

    def held_up() -> None:
        turns.take()
        slow.wait(30)  # as a disk that does not answer
        turns.give()

    def work() -> None:
        turns.take()
        done.set()
        turns.give()

    first = threading.Thread(target=held_up)
    first.start()
    while turns._free:
        pass
    second = threading.Thread(target=work)
    second.start()
    assert done.wait(20)
    slow.set()
    first.join(30)
    second.join(30)
    assert turns._free == 1
    turns.take()
    turns.give()


def test_rest_lets_others_work() -> None:
    turns = Turns(1)
    turns.take()
    with turns.resting():
        other = threading.Thread(target=lambda: (turns.take(), turns.give()))
        other.start()
        other.join(30)
        assert not other.is_alive()
    turns.give()
