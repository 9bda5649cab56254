"""What wrong logins cost, with the time as a number."""

import pytest

from tieline.login.penalties import BLOCK, FORGET, PAIR, USER, Penalties, block_of

ADA = "ada/password"


def test_a_few_slips_cost_nothing_and_more_cost_ever_more() -> None:
    penalties, now, waits = Penalties(), 0.0, []
    for _ in range(BLOCK.free + 12):
        penalties.failed(ADA, "192.0.2.1", now)
        waits.append(penalties.wait("bob/password", "192.0.2.1", now))
        now += waits[-1]
    assert waits[: BLOCK.free] == [0.0] * BLOCK.free
    assert waits[BLOCK.free : BLOCK.free + 4] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == BLOCK.longest


def test_waiting_it_out_opens_the_way() -> None:
    penalties = Penalties()
    for _ in range(BLOCK.free + 3):
        penalties.failed(ADA, "192.0.2.1", 100.0)
    assert penalties.wait("bob/password", "192.0.2.1", 101.0) == 3.0
    assert penalties.wait("bob/password", "192.0.2.1", 104.0) == 0.0


def test_one_account_guessed_from_a_thousand_addresses_waits_at_most_seconds() -> None:
    penalties = Penalties()
    for number in range(1000):
        penalties.failed(ADA, f"198.51.{number // 250}.{number % 250}", 0.0)
    assert penalties.wait(ADA, "203.0.113.1", 0.0) == USER.longest
    assert penalties.wait("ada/laptop", "203.0.113.1", 0.0) == 0.0, "her devices have nothing to do with it"
    assert penalties.wait("bob/password", "203.0.113.1", 0.0) == 0.0


def test_who_once_succeeded_from_here_waits_for_no_stranger() -> None:
    penalties = Penalties()
    penalties.succeeded(ADA, "203.0.113.1", 0.0)
    for number in range(200):
        penalties.failed(ADA, f"198.51.100.{number}", 0.0)
        penalties.failed("eve/x", "203.0.113.1", 0.0)
    assert penalties.wait(ADA, "203.0.113.1", 0.0) == 0.0


def test_a_known_place_is_no_place_to_guess_from() -> None:
    penalties = Penalties()
    penalties.succeeded(ADA, "203.0.113.1", 0.0)
    for _ in range(PAIR.free + 20):
        penalties.failed(ADA, "203.0.113.1", 0.0)
    assert penalties.wait(ADA, "203.0.113.1", 0.0) == PAIR.longest


def test_an_account_of_ones_own_does_not_wash_away_guesses_at_others() -> None:
    penalties = Penalties()
    for number in range(BLOCK.free + 5):
        penalties.failed(f"user{number}/password", "192.0.2.1", 0.0)
        penalties.succeeded("eve/laptop", "192.0.2.1", 0.0)
    assert penalties.wait(ADA, "192.0.2.1", 0.0) == 16.0


def test_old_mistakes_are_forgotten() -> None:
    penalties = Penalties()
    for _ in range(50):
        penalties.failed(ADA, "192.0.2.1", 0.0)
    penalties.failed(ADA, "192.0.2.1", FORGET + 1)
    assert penalties.wait(ADA, "192.0.2.1", FORGET + 1) == 0.0


def test_a_clock_set_back_lengthens_no_wait() -> None:
    penalties = Penalties()
    for _ in range(50):
        penalties.failed(ADA, "192.0.2.1", 1e9)
    assert penalties.wait(ADA, "192.0.2.1", 0.0) <= BLOCK.longest
    assert penalties.wait(ADA, "192.0.2.1", 1.0 + BLOCK.longest) == 0.0, "and it is over, not begun anew for a year"


def test_memory_is_bounded_whoever_tries() -> None:
    penalties = Penalties(kept=100)
    for number in range(5000):
        penalties.failed(f"user{number}/x", f"2001:db8:{number:x}::1", float(number))
        penalties.succeeded(f"user{number}/x", f"2001:db8:{number:x}::1", float(number))
    assert len(penalties) <= 400


@pytest.mark.parametrize(
    ("address", "block"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("x" * 500, "x" * 64),
    ],
)
def test_a_place_is_an_ipv4_address_or_an_ipv6_64(address: str, block: str) -> None:
    assert block_of(address) == block


def test_callers_without_an_address_share_no_blame() -> None:
    penalties = Penalties()
    for _ in range(100):
        penalties.failed("eve/x", "", 0.0)
    assert penalties.wait(ADA, "", 0.0) == 0.0
