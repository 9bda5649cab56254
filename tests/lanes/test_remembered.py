"""What the other side has is remembered for just that file, and for no more files than there is room for."""

from tieline.lanes.remembered import Budget, Remembered


def test_just_that_file_is_known() -> None:
    known = Remembered(Budget(10))
    known.add(0, ("a", "b"), [("c", 5, 7), ("d", 1, -1)])
    assert known.holds(0, ("a", "b"), "c", 5, 7)
    assert known.holds(0, ("a", "b"), "d", 1, -1)
    others = [
        (1, ("a", "b"), "c", 5, 7),
        (0, ("a",), "c", 5, 7),
        (0, ("a", "b"), "c", 5, 8),
        (0, ("a", "b"), "c", 6, 7),
    ]
    assert not any(known.holds(*other) for other in others)


def test_all_together_remember_no_more_than_there_is_room_for() -> None:
    budget = Budget(5)
    one, other = Remembered(budget), Remembered(budget)
    one.add(0, (), [(str(number), 1, 1) for number in range(4)])
    other.add(0, (), [(str(number), 1, 1) for number in range(4)])
    assert sum(other.holds(0, (), str(number), 1, 1) for number in range(4)) == 1
    one.close()
    other.add(0, ("x",), [(str(number), 1, 1) for number in range(4)])
    assert all(other.holds(0, ("x",), str(number), 1, 1) for number in range(4))
    assert not one.holds(0, (), "0", 1, 1)
