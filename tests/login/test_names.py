"""Names: what may be one, and that every refusal says why."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.errors import InvalidArgument
from tieline.login.credential import split_user_name, user_name
from tieline.login.names import account_name, device_name, room_name


@pytest.mark.parametrize("name", ["ada", "zoë", "李雷", "r2d2", "a", "lab-3", "x.y_z", "x" * 64, "7up"])
def test_ordinary_names_are_taken_as_they_are(name: str) -> None:
    assert account_name(name) == device_name(name) == room_name(name) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "empty"),
        ("x" * 65, "limit is 64"),
        ("a/b", "'/'"),
        ("@ada", "'@'"),
        ("a+b", "'\\+'"),
        ("a b", "' '"),
        ("a\nb", "\\\\n"),
        ("a\x1b]52;c", "\\\\x1b"),
        ("\u202eada", "u202e"),
        ("a\x00", "x00"),
        ("-rf", "begin"),
        (".hidden", "begin"),
        ("..", "begin"),
        ("con.", "end in"),
        ("\u0301a", "begin"),
        ("ﬁx", "spelling"),
        ("e\u0301", "spelling"),
    ],
)
def test_names_that_could_be_taken_for_something_else_are_refused_with_a_reason(name: str, why: str) -> None:
    for check in (account_name, device_name, room_name):
        with pytest.raises(InvalidArgument, match=why) as caught:
            check(name)
        assert str(caught.value).isascii()


def test_accounts_and_rooms_are_lower_case_and_devices_as_their_owners_like() -> None:
    for check in (account_name, room_name):
        with pytest.raises(InvalidArgument, match="'ada'"):
            check("Ada")
    assert device_name("Adas-MacBook") == "Adas-MacBook"


@pytest.mark.parametrize("name", ["ticket", "guest-ada"])
def test_names_with_a_meaning_of_their_own_are_no_accounts(name: str) -> None:
    with pytest.raises(InvalidArgument, match="reserved"):
        account_name(name)


@given(st.text(max_size=80))
def test_a_name_is_taken_whole_or_refused_never_mended(name: str) -> None:
    for check in (account_name, device_name, room_name):
        assert (refusal := _refusal(check, name)) is None or refusal.isprintable()


def _refusal(check: Callable[[str], str], name: str) -> str | None:
    try:
        assert check(name) == name
    except InvalidArgument as error:
        return str(error)
    return None


@given(st.text(max_size=80), st.text(max_size=80))
def test_a_user_name_comes_back_as_the_two_names_it_was_made_of(account: str, device: str) -> None:
    try:
        account_name(account), device_name(device)
    except InvalidArgument:
        return
    assert split_user_name(user_name(account, device)) == (account, device)


@given(st.text(max_size=80))
def test_a_user_name_has_one_spelling_or_is_nobodys(text: str) -> None:
    names = split_user_name(text)
    assert names is None or user_name(*names) == text
