"""A profile holds a device's key: it is whole, it is private, or it is refused."""

import os
import stat

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tieline import profiles
from tieline.errors import ConfigError
from tieline.profiles import Profile

pytestmark = pytest.mark.usefixtures("config_folder")

ADA = Profile(address="tls://lab:7788", account="ada", device="laptop", key="k3y", pin="ab" * 32)


def test_what_was_written_is_read_and_only_the_user_may_read_it() -> None:
    path = profiles.write("lab", ADA)
    assert profiles.read("lab") == ADA
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert profiles.names() == ["lab"]


def test_no_profile_is_no_error() -> None:
    assert profiles.read("lab") is None
    assert profiles.names() == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
def test_a_profile_that_others_may_read_is_refused_with_what_to_type(mode: int) -> None:
    path = profiles.write("lab", ADA)
    path.chmod(mode)
    with pytest.raises(ConfigError, match=f"chmod 600 {path}"):
        profiles.read("lab")


def test_writing_replaces_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    path = profiles.write("lab", ADA)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda handle: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(ConfigError, match="No space left"):
            profiles.write("lab", Profile(address="x", account="x", device="x", key="x"))
    assert profiles.read("lab") == ADA
    assert [each.name for each in path.parent.iterdir()] == ["lab.toml"]


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "-rf", "a" * 65, "a\nb"])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="not a profile name"):
        profiles.path_of(name)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("address = ", "not TOML"),
        (b"\xff\xfe", "not TOML"),
        ("address = 'x'\naccount = 'x'\ndevice = 'x'", "'key' is missing"),
        ("address = 1\naccount = 'x'\ndevice = 'x'\nkey = 'x'", "'address' is"),
        ("address = 'x'\naccount = 'x'\ndevice = 'x'\nkey = 'x'\nmore = 'x'", "'more' is"),
    ],
)
def test_a_damaged_profile_is_a_sentence(content: str | bytes, said: str) -> None:
    path = profiles.write("lab", ADA)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError, match=said):
        profiles.read("lab")


def test_the_key_is_not_shown() -> None:
    assert "k3y" not in repr(ADA)


# TOML files are UTF-8 with any character of Unicode but lone surrogates.
text = st.text(st.characters(exclude_categories=["Cs"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(text, text)
def test_any_text_survives_the_file(account: str, key: str) -> None:
    profile = Profile(address="a", account=account, device="d", key=key)
    profiles.write("lab", profile)
    assert profiles.read("lab") == profile
