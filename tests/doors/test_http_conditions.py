"""Conditions and ranges, as RFC 9110 has them."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.doors.http_conditions import Decision, decide, names_a_tag

SIZE, TAG, MODIFIED = 100, '"abc"', 1_700_000_000
BEFORE, THEN, LATER = (formatdate(MODIFIED + shift, usegmt=True) for shift in (-1, 0, 1))
WHOLE = Decision(200, 0, SIZE)


def of(method="GET", size=SIZE, tag=TAG, **headers):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return decide(method, named, size, tag, MODIFIED)


@pytest.mark.parametrize(
    ("text", "decision"),
    [
        ("bytes=0-0", Decision(206, 0, 1)),
        ("bytes=10-19", Decision(206, 10, 20)),
        ("bytes=10-", Decision(206, 10, 100)),
        ("bytes=-10", Decision(206, 90, 100)),
        ("bytes=-1000", Decision(206, 0, 100)),
        ("bytes=0-1000", Decision(206, 0, 100)),
        ("bytes=99-", Decision(206, 99, 100)),
        ("bytes = 1 - 2", Decision(206, 1, 3)),
        ("bytes=100-", Decision(416, 0, 100)),
        ("bytes=5000-6000", Decision(416, 0, 100)),
        ("bytes=-0", Decision(416, 0, 100)),
        ("bytes=99999999999999999999-", Decision(416, 0, 100)),
        ("bytes=999999999999999999999999-", WHOLE),
        ("bytes=20-10", WHOLE),
        ("bytes=-", WHOLE),
        ("bytes=a-b", WHOLE),
        ("bytes=0-1,5-6", WHOLE),
        ("bytes=٣-٤", WHOLE),
        ("lines=1-2", WHOLE),
        ("", WHOLE),
    ],
)
def test_a_range_is_a_part_or_is_ignored(text, decision):
    assert of(Range=text) == decision


def test_nothing_can_be_had_of_an_empty_file():
    assert of(size=0, Range="bytes=0-").status == 416
    assert of(size=0) == Decision(200, 0, 0)


def test_a_range_is_for_get_only():
    assert of("HEAD", Range="bytes=0-1") == WHOLE


@pytest.mark.parametrize(
    ("condition", "holds"),
    [(TAG, True), ('"other"', False), (f"W/{TAG}", False), (THEN, True), (BEFORE, False), (LATER, False), ("x", False)],
)
def test_a_part_is_only_given_of_what_the_client_has_the_rest_of(condition, holds):
    assert of(Range="bytes=1-2", If_Range=condition) == (Decision(206, 1, 3) if holds else WHOLE)


def test_a_tag_that_is_not_known_matches_nothing():
    assert of(tag="", Range="bytes=1-2", If_Range='""') == WHOLE
    assert of(tag="", If_None_Match=TAG) == WHOLE
    assert of(tag="", If_Match=TAG).status == 412


@pytest.mark.parametrize("text", [TAG, "*", f'"x", {TAG}', f"W/{TAG}", f'"x",{TAG},"y"'])
def test_who_has_it_already_is_told_so(text):
    assert of(If_None_Match=text).status == 304
    assert of("HEAD", If_None_Match=text).status == 304
    assert of("PUT", If_None_Match=text).status == 412


@pytest.mark.parametrize("text", ['"x"', "abc", "", '"abc'])
def test_who_has_another_gets_it(text):
    assert of(If_None_Match=text) == WHOLE


def test_times_are_looked_at_when_there_is_no_tag():
    assert of(If_Modified_Since=THEN).status == 304
    assert of(If_Modified_Since=LATER).status == 304
    assert of(If_Modified_Since=BEFORE) == WHOLE
    assert of(If_Modified_Since="yesterday") == WHOLE
    assert of(If_Modified_Since=THEN, If_None_Match='"x"') == WHOLE
    assert of(If_Unmodified_Since=BEFORE).status == 412
    assert of(If_Unmodified_Since=THEN) == WHOLE
    assert of("PUT", If_Modified_Since=THEN) == WHOLE


def test_a_change_is_made_to_the_file_that_was_seen():
    assert of("PUT", If_Match='"old"').status == 412
    assert of("PUT", If_Match=f"W/{TAG}").status == 412
    assert of("DELETE", If_Match=TAG) == WHOLE
    assert of("DELETE", If_Match="*") == WHOLE


def test_the_digest_is_only_needed_for_a_tag():
    assert names_a_tag({"If-Range": TAG})
    assert not names_a_tag({"If-None-Match": "*", "If-Range": THEN})


@given(st.text(max_size=60), st.text(max_size=60), st.integers(0, 1 << 62))
def test_whatever_a_client_sends_a_decision_is_within_the_file(range_, condition, size):
    for name in ("If-Range", "If-Match", "If-None-Match", "If-Modified-Since"):
        decision = decide("GET", {"Range": range_, name: condition}, size, TAG, MODIFIED)
        assert decision.status in (200, 206, 304, 412, 416)
        assert 0 <= decision.start <= decision.stop <= size
