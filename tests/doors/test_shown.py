"""What a person at the lines door sees."""

from datetime import UTC, datetime

from tieline.doors.shown import (
    Entered,
    Here,
    Message,
    Room,
    entered_lines,
    here_line,
    message_lines,
    moved_lines,
    room_line,
    together,
)

NOW = datetime(2026, 11, 20, 10, 20, tzinfo=UTC)
AT = int(datetime(2026, 11, 20, 10, 15, tzinfo=UTC).timestamp() * 1000)


def message(text, by="ada", at=AT):
    return Message(1, at, by, text)


def test_a_message_has_its_time_and_its_author():
    assert message_lines(message("hello"), NOW) == ["10:15 ada: hello"]
    assert message_lines(message("hello"), NOW, "to you") == ["10:15 ada (to you): hello"]


def test_one_of_another_day_has_its_date():
    assert message_lines(message("old", at=AT - 86_400_000), NOW) == ["2026-11-19 10:15 ada: old"]
    assert message_lines(message("odd", at=1 << 60), NOW) == ["--:-- ada: odd"]


def test_a_text_of_two_lines_cannot_pass_for_two_messages():
    assert message_lines(message("look\n10:16 bob: i agree\r"), NOW) == [
        "10:15 ada: look",
        "      | 10:16 bob: i agree",
    ]


def test_nothing_that_others_wrote_reaches_the_terminal_raw():
    hostile = "\x1b]52;c;ZXZpbA==\x07\x9b2J\u202e"
    shown = [
        *message_lines(message(hostile, by=f"ada{hostile}"), NOW),
        *entered_lines("lobby", Entered([message(hostile)], [f"ada{hostile}"], 1, hostile), "bob", NOW),
        *moved_lines(Here([], 0), Here([hostile], 1), "bob"),
        here_line(Here([hostile], 1), "bob"),
        room_line(Room(hostile, 1, 0, hostile)),
    ]
    assert not set("".join(shown)) & set(hostile) & set("\x1b\x07\x9b\u202e\n\r")


def test_who_came_and_who_left():
    before, after = Here(["ada", "bob"], 2), Here(["bob", "carl", "dora", "me"], 4)
    assert moved_lines(before, after, "me") == ["* carl, dora joined", "* ada left"]
    assert moved_lines(after, after, "me") == []


def test_a_crowd_that_comes_is_one_line():
    crowd = [f"p{number:02}" for number in range(50)]
    (line,) = moved_lines(Here([], 0), Here(crowd, 50), "me")
    assert line == "* p00, p01, p02, p03, p04, p05, p06, p07 and 42 more joined"


def test_of_names_that_were_cut_nobody_knows_who_moved():
    assert moved_lines(Here(["ada"], 1), Here(["bob"], 1000), "me") == []
    assert here_line(Here(["bob"], 1000), "me") == "* here: bob and 999 more"


def test_an_older_list_does_not_make_people_leave():
    told, older = Here(["ada", "bob"], 2), Here(["ada"], 1)
    assert moved_lines(told, together(told, older), "me") == []
