"""What may be the name of a file: everything a person would call one, and nothing that does something."""

import string
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.errors import InvalidArgument
from tieline.limits import DEFAULT
from tieline.store.files.names import check, fault_of, key, link_target, parse, shown

HOSTILE = [
    "",
    "//",
    "/a//b",
    "a//",
    ".",
    "..",
    "/..",
    "/a/../../etc/passwd",
    "../x",
    "/a/./b",
    "C:\\Windows",
    "C:/Windows",
    "\\\\host\\share",
    "a\\b",
    "a:b",
    "file.txt:stream",
    "a\0b",
    "a\nb",
    "a\rb",
    "a\tb",
    "\x1b]52;c;ZXZpbA==\x07",
    "\x9b2J",
    "a\x7f",
    "a\u2028b",
    "a\u2029b",
    "exe.\u202egpj",
    "\u2066x",
    "half\ud800",
    "\udcff",
    "a ",
    "a.",
    "...",
    " ",
    "CON",
    "con",
    "NUL.txt",
    "nul.tar.gz",
    "Com1",
    "lpt9.log",
    "COM¹",
    "AUX .txt",
    "conin$",
    "what?",
    "glob*",
    'quo"te',
    "a|b",
    "<x>",
    "x" * 256,
    "é" * 128,
    "/".join("a" * (DEFAULT.path_depth + 1)),
    "/".join(["d"] * 5000),
    "/" + "x/" * 3000,
    ".tieline-staging",
    ".tieline-trash/x",
    ".Tieline-Staging",
    "a/.TIELINE-x",
    ".tıeline-x".replace("ı", "I"),
]

FINE = [
    "/lab/data/x.bin",
    "x",
    "README.md",
    ".hidden",
    "-rf",
    "--help",
    "$(id)",
    "`id`",
    "; rm -rf ~",
    "a b  c",
    " leading",
    "%2e%2e",
    "~",
    "#1",
    "a'b",
    "100%",
    "…",
    "naïve café.txt",
    "cafe\u0301.txt",
    "Straße.txt",
    "Ελληνικά",
    "кириллица.doc",
    "日本語/ファイル.txt",
    "한국어",
    "العربية.pdf",
    "עברית",
    "हिन्दी",
    "ไทย",
    "می\u200cخواهم",
    "👩‍👩‍👧‍👦.png",
    "x" * 255,
    "constant.txt",
    "nullable",
    "com10",
    "console.log",
    "/".join("a" * DEFAULT.path_depth),
]


@pytest.mark.parametrize("path", HOSTILE, ids=ascii)
def test_what_would_lead_astray_is_refused_and_never_cleaned(path: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        parse(path)
    assert str(refused.value).isprintable(), "the refusal itself can be shown on a terminal"
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("path", FINE, ids=ascii)
def test_what_people_call_their_files_is_taken_as_it_is(path: str) -> None:
    assert shown(parse(path)) == "/" + path.removeprefix("/")


def test_slashes_around_a_path_change_nothing() -> None:
    assert parse("/a/b/") == parse("a/b") == ("a", "b")
    assert parse("/") == ()


@given(st.text(max_size=300))
def test_a_path_is_good_as_it_is_or_refused(path: str) -> None:
    try:
        parts = parse(path)
    except InvalidArgument:
        return
    assert parts == check(parts)
    assert parse(shown(parts)) == parts
    assert "/" + path.removeprefix("/").removesuffix("/") == shown(parts)
    for part in parts:
        assert part not in ("", ".", "..")
        assert "/" not in part
        assert part.isprintable() or any(unicodedata.category(char) in ("Cf", "Co", "Cn", "Zs") for char in part)
        assert len(part.encode()) <= 255


@given(st.text(alphabet=string.printable, min_size=1, max_size=20))
def test_ascii_names_are_told_apart_but_for_case(name: str) -> None:
    assert key(name) == key(name.upper()) == key(name.lower())
    assert key(name + "x") != key(name)


def test_names_that_differ_in_case_or_normal_form_only_are_one_elsewhere() -> None:
    for one, other in (
        ("README", "readme"),
        ("é", "e\u0301"),
        ("É", "e\u0301"),
        ("Ångström", "a\u030angstro\u0308m"),
        ("Å", "\u212b"),
        ("K", "\u212a"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("ДОМ", "дом"),
    ):
        assert key(one) == key(other), (one, other)
    for one, other in (("Maße", "Masse"), ("a", "b"), ("ı", "i"), ("é", "e"), ("ﬁ", "fi")):
        assert key(one) != key(other), (one, other)


@given(st.text(max_size=30))
def test_a_key_is_its_own_key(name: str) -> None:
    assert key(key(name)) == key(name)


def test_links_may_lead_within_the_tree_only() -> None:
    assert link_target(("a", "b"), "../c/x") == ("a", "c", "x")
    assert link_target(("a",), "./x") == ("a", "x")
    assert link_target((), "x") == ("x",)
    assert link_target(("a", "b"), "../..") == ()
    for target in (
        "/etc/passwd",
        "../../x",
        "..",
        "",
        "a/../../../x",
        "x\0",
        "../.tieline-staging/x",
        "a//b",
        "x" * 5000,
    ):
        with pytest.raises(InvalidArgument):
            link_target(("a",) if target != ".." else (), target)


def test_fault_of_says_nothing_of_a_good_name() -> None:
    assert fault_of("x.txt") is None
