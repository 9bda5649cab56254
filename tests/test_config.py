"""A setting is written once; whoever sets it, by flag, environment or file, meets the same rules and sentences."""

from pathlib import Path

import pytest

from tieline import config
from tieline.errors import ConfigError


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    (tmp_path / "tieline").mkdir()
    return tmp_path / "tieline"


def test_without_anything_the_defaults_hold() -> None:
    loaded = config.load(environment={})
    assert loaded.listen == (":7788",)
    assert not loaded.allow_plain
    assert loaded.name
    assert loaded.socket == loaded.data / "tieline.sock"


def test_a_flag_beats_the_environment_beats_the_file_beats_the_default(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('name = "from file"\nlog_level = "debug"\nguests = true\n')
    environment = {"TIELINE_NAME": "from environment", "TIELINE_LOG_LEVEL": "error"}
    loaded = config.load({"name": "from flag", "log_level": None, "listen": ()}, environment=environment, file=file)
    assert loaded.name == "from flag"
    assert loaded.log_level == "error"
    assert loaded.guests
    assert not loaded.json_log


def test_the_file_in_the_data_folder_is_read_wherever_that_folder_is(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "tieline.toml").write_text('name = "elsewhere"')
    assert config.load({"data": str(elsewhere)}, environment={}).name == "elsewhere"
    assert config.load(environment={"TIELINE_DATA": str(elsewhere)}).name == "elsewhere"


def test_paths_in_a_file_are_relative_to_that_file(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('cert = "cert.pem"\nkey = "/etc/key.pem"\ndata = "state"\n')
    loaded = config.load(environment={}, file=file)
    assert (loaded.cert, loaded.key) == (tmp_path / "cert.pem", Path("/etc/key.pem"))
    assert loaded.data == tmp_path / "state"


def test_listen_is_repeated_as_a_flag_a_list_in_a_file_and_words_in_the_environment(tmp_path: Path) -> None:
    wanted = ("tcp://127.0.0.1:0", "[::1]:7789")
    file = tmp_path / "my.toml"
    file.write_text('listen = ["tcp://127.0.0.1:0", "[::1]:7789"]')
    assert config.load({"listen": wanted}, environment={}).listen == wanted
    assert config.load(environment={}, file=file).listen == wanted
    assert config.load(environment={"TIELINE_LISTEN": " tcp://127.0.0.1:0, [::1]:7789"}).listen == wanted


def test_an_empty_variable_is_not_set_and_unknown_ones_belong_to_others() -> None:
    assert not config.load(environment={"TIELINE_GUESTS": "", "TIELINE_PORT": "tcp://10.0.0.1:80"}).guests


@pytest.mark.parametrize(
    ("flags", "environment", "text", "said"),
    [
        ({"log_level": "loud"}, {}, "", ["log_level", "'loud'", "--log-level", "debug, info, warning or error"]),
        ({}, {"TIELINE_GUESTS": "maybe"}, "", ["guests", "'maybe'", "TIELINE_GUESTS", "true or false"]),
        ({}, {}, "guests = 1", ["guests", "my.toml", "true or false"]),
        ({}, {}, "name = ''", ["name", "my.toml", "not empty"]),
        ({}, {}, "nmae = 'x'", ["nmae", "my.toml", "did you mean name?"]),
        ({}, {}, "[server]", ["server", "the settings are listen, data"]),
        ({}, {}, "name = \n", ["my.toml", "not TOML", "line 1"]),
        ({}, {}, "listen = []", ["listen", "accepted: addresses like"]),
        ({"listen": ("host:port",)}, {}, "", ["listen", "--listen", "host:port", "accepted"]),
        ({"cert": "x.pem"}, {}, "", ["cert", "set key as well"]),
        ({}, {"TIELINE_KEY": "x.pem"}, "", ["key", "set cert as well"]),
    ],
)
def test_a_bad_value_names_itself_its_origin_and_what_is_accepted(
    tmp_path: Path, flags: dict[str, object], environment: dict[str, str], text: str, said: list[str]
) -> None:
    file = tmp_path / "my.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        config.load(flags, environment=environment, file=file)
    for part in said:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("given", "size"),
    [("0", 0), ("1000", 1000), ("20G", 20 << 30), ("1.5 TiB", 3 << 39), ("500m", 500 << 20), ("7kb", 7 << 10)],
)
def test_a_size_is_bytes_or_has_a_unit(tmp_path: Path, given: str, size: int) -> None:
    assert config.load({"files_quota": given}, environment={}).files_quota == size
    (tmp_path / "my.toml").write_text(f"files_space = {size}\nfiles_quota = '{given}'\n")
    loaded = config.load(environment={}, file=tmp_path / "my.toml")
    assert (loaded.files_space, loaded.files_quota) == (size, size)


@pytest.mark.parametrize("given", ["", "lots", "-1", "1e9", "1.2.3G", "1 P", "٣", "9" * 30])
def test_what_is_no_size_is_said(given: str) -> None:
    with pytest.raises(ConfigError, match="500M, 20G"):
        config.load({"files_quota": given}, environment={})


def test_a_file_asked_for_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file .*missing\.toml"):
        config.load(environment={}, file=tmp_path / "missing.toml")


def test_the_file_in_the_data_folder_cannot_move_the_data_folder(data: Path) -> None:
    (data / "tieline.toml").write_text('data = "/elsewhere"')
    with pytest.raises(ConfigError, match="lies in the data folder"):
        config.load(environment={})


def test_a_file_as_windows_editors_write_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('name = "bücher"\r\n', encoding="utf-8-sig")
    assert config.load(environment={}, file=tmp_path / "my.toml").name == "bücher"


def test_an_unreadable_file_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        config.load(environment={}, file=tmp_path)


def test_every_setting_says_what_it_is() -> None:
    for setting in config.SETTINGS.values():
        assert setting.about.endswith(".")
        assert setting.kind.accepts
        assert setting.kind.switch or setting.metavar
        assert setting.default is not None or setting.default_text
