"""Room for uploads: what fits, what does not, and that whatever is reserved comes back."""

import threading

import pytest

from tieline.errors import InvalidArgument, TooLarge, Unavailable
from tieline.store.files.catalogue import Sums
from tieline.store.files.quota import MARGIN, MARGIN_FILES, Quota
from tieline.store.files.tree import Space

PLENTY = 1 << 50


def quota(each: int = 0, all: int = 0, free: int = PLENTY, files: int | None = None, most: int = 1000) -> Quota:
    return Quota(each, all, lambda: Space(PLENTY, free, files), most)


def taken(**sizes: int) -> dict[str, Sums]:
    return {account.strip("_"): Sums(size, 1) for account, size in sizes.items()}


def test_without_bounds_only_the_disk_counts() -> None:
    free = quota()
    free.reserve("ada", 1 << 40)
    assert free.left("ada") is None
    with pytest.raises(Unavailable, match="has 67,108,865 left"):
        quota(free=MARGIN + 1).reserve("ada", 2)
    quota(free=MARGIN + 1).reserve("ada", 1)


def test_an_account_has_its_quota_and_is_told_the_facts() -> None:
    bounded = quota(each=100)
    bounded.used(taken(ada=60, bob=100))
    assert bounded.left("ada") == 40
    bounded.reserve("ada", 30)
    assert bounded.left("ada") == 10
    with pytest.raises(TooLarge, match="your files take 90 of 100") as refused:
        bounded.reserve("ada", 11)
    assert refused.value.data == {"asked": 11, "used": 90, "quota": 100}
    bounded.reserve("ada", 10)
    with pytest.raises(TooLarge):
        bounded.reserve("bob", 1)


def test_all_together_have_theirs() -> None:
    bounded = quota(each=100, all=150)
    bounded.used(taken(ada=90, _=30))
    bounded.reserve("bob", 20)
    with pytest.raises(TooLarge, match="all files here take 140 of 150"):
        bounded.reserve("cyd", 11)
    assert bounded.left("bob") == 10


def test_what_is_released_can_be_used_again() -> None:
    bounded = quota(each=100, free=MARGIN + 100)
    for _ in range(3):
        with bounded.reserve("ada", 100) as reservation:
            with pytest.raises(TooLarge):
                bounded.reserve("ada", 1)
            with pytest.raises(Unavailable):
                bounded.reserve("bob", 1)
            reservation.wrote(60)
        reservation.release()
        assert bounded.left("ada") == 100


def test_an_upload_of_unknown_size_reserves_as_it_grows() -> None:
    bounded = quota(each=100)
    reservation = bounded.reserve("ada", 0)
    reservation.grow(60)
    with pytest.raises(TooLarge):
        reservation.grow(50)
    reservation.grow(40)
    assert bounded.left("ada") == 0
    reservation.release()
    assert bounded.left("ada") == 100


def test_what_is_written_already_is_not_counted_twice_against_the_disk() -> None:
    free = MARGIN + 100
    bounded = Quota(0, 0, lambda: Space(PLENTY, free))
    one = bounded.reserve("ada", 80)
    one.wrote(80)
    free -= 80
    bounded.reserve("bob", 20)
    with pytest.raises(Unavailable):
        bounded.reserve("bob", 1)


def test_what_was_split_off_is_released_by_itself() -> None:
    bounded = quota(each=100)
    room = bounded.reserve("ada", 60)
    room.wrote(50)
    group = room.split()
    room.grow(30)
    with pytest.raises(TooLarge):
        room.grow(20)
    group.release()
    room.grow(70)
    room.release()
    room.release()
    assert bounded.left("ada") == 100
    bounded.reserve("bob", 100)


def test_an_account_has_only_so_many_files() -> None:
    bounded = quota(most=3)
    bounded.used({"ada": Sums(0, 3), "bob": Sums(0, 2)})
    with pytest.raises(TooLarge, match="ada has 3 files"):
        bounded.reserve("ada", 0)
    bounded.reserve("bob", 0)


def test_a_disk_that_takes_few_files_more_takes_none_of_ours() -> None:
    bounded = quota(files=MARGIN_FILES - 1)
    for work in (lambda: bounded.reserve("ada", 0), bounded.one_more):
        with pytest.raises(Unavailable, match="takes only 4,095 files more"):
            work()
    quota(files=MARGIN_FILES).one_more()
    quota(files=None).one_more()


def test_nobody_makes_room_by_less_than_nothing() -> None:
    bounded = quota(each=100)
    with pytest.raises(InvalidArgument):
        bounded.reserve("ada", -1)
    reservation = bounded.reserve("ada", 100)
    for size in (-1, -(1 << 62)):
        with pytest.raises(InvalidArgument):
            reservation.grow(size)
    reservation.wrote(-50)
    with pytest.raises(TooLarge):
        bounded.reserve("ada", 1)
    reservation.release()
    assert bounded.left("ada") == 100


def test_threads_together_never_pass_the_bound() -> None:
    bounded = quota(each=1000)
    got: list[int] = []

    def grab() -> None:
        for _ in range(200):
            try:
                bounded.reserve("ada", 3)
            except TooLarge:
                return
            got.append(3)

    threads = [threading.Thread(target=grab) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(got) == 999
