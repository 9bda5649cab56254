"""`tieline ls rm mv mkdir df token` as people type them."""

import json
import os
import re
import socket
import subprocess
from pathlib import Path

import pytest
from tests.apps.conftest import People, Person, Serve, Serving


def joined(people: People, owner: Person, name: str, *invite: str) -> Person:
    person = people(name)
    person.out("join", "-", "--device", "laptop", stdin=owner.out("invite", name, *invite))
    return person


@pytest.fixture
def root(owner: Person) -> Path:
    """Where the server's files lie."""
    return Path(owner.environment["TIELINE_DATA"]) / "files"


def test_a_day_with_files(server: Serving, owner: Person, root: Path) -> None:
    assert owner.out("ls") == "people/\nrooms/\n"
    owner.out("mkdir", "-p", "/lab/2026", "/rooms/builds/nightly")
    (root / "lab" / "draft.txt").write_text("hello")
    os.symlink("draft.txt", root / "lab" / "latest")
    os.symlink("/etc/passwd", root / "lab" / "out")
    assert owner.out("ls", "/lab") == "2026/\ndraft.txt\nlatest@\nout@\n"
    long = owner.out("ls", "-l", "/lab").splitlines()
    assert re.fullmatch(r"-rw-r--r-- +5 B  \d{4}-\d\d-\d\d \d\d:\d\d:\d\d  - +- +draft\.txt", long[1])
    assert long[2].endswith("latest@ -> draft.txt")
    assert long[3].endswith("out@ -> (out of the tree)")
    assert owner.out("mv", "/lab/draft.txt", "/lab/final.txt", "--json") == (
        '[{"path":"/lab/draft.txt","to":"/lab/final.txt"}]\n'
    )
    owner.out("mv", "/lab/final.txt", "/lab/latest", "/rooms/builds/nightly")
    assert [json.loads(line)["path"] for line in owner.out("ls", "--json", "/rooms/builds/nightly").splitlines()] == [
        "/rooms/builds/nightly/final.txt",
        "/rooms/builds/nightly/latest",
    ]
    refused = owner.run("rm", "/lab")
    assert (refused.returncode, refused.stderr) == (1, "tieline: the folder /lab is not empty\n")
    assert owner.out("rm", "-r", "/lab", "--json") == '[{"path":"/lab","kind":"folder"}]\n'
    owner.out("rm", "/rooms/builds/nightly/final.txt", "/rooms/builds/nightly/latest")
    assert not (root / "lab").exists()
    assert Path("/etc/passwd").exists()


def test_each_path_that_fails_is_said_and_the_others_are_done(server: Serving, owner: Person, root: Path) -> None:
    owner.out("mkdir", "/a", "/b")
    done = owner.run("rm", "/a", "/nothing", "/b", "/..")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 2
    assert owner.out("ls") == "people/\nrooms/\n"
    assert owner.run("rm", "/nothing").returncode == 1
    assert owner.run("rm", "-f", "/nothing").returncode == 0
    assert owner.run("ls", "../x").returncode == 2
    assert owner.run("mv", "/a").returncode == 2


def test_moving_replaces_nothing_unless_told_to(server: Serving, owner: Person, root: Path) -> None:
    for name in ("a", "b"):
        (root / name).write_text(name)
    refused = owner.run("mv", "/a", "/b")
    assert (refused.returncode, refused.stderr) == (1, "tieline: /b is there already\n")
    owner.out("mv", "-f", "/a", "/b")
    assert (root / "b").read_text() == "a"


def test_names_cannot_act_on_the_terminal(server: Serving, owner: Person, root: Path) -> None:
    for name in ("-rf", "$(id)", "e\x1b]52;c;ZXZpbA==\x07", "two\nlines", "soft\u00adhyphen", "\u200fmark", "日本"):
        (root / name).write_text("x")
    done = owner.run("ls")
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u00ad\u200f]", done.stdout)
    assert "2 more were put there by hand" in done.stderr
    assert "日本" in done.stdout.splitlines()
    listed = [json.loads(line)["name"] for line in owner.out("ls", "--json").splitlines()]
    assert "soft\u00adhyphen" in listed
    owner.out("rm", "--", "/-rf", "/$(id)")
    assert not (root / "-rf").exists()


def test_a_listing_of_many_comes_whole(server: Serving, owner: Person, root: Path) -> None:
    (root / "many").mkdir()
    for number in range(2500):
        (root / "many" / f"{number:04}").write_text("")
    assert owner.out("ls", "/many").split() == [f"{number:04}" for number in range(2500)]


def test_how_much_room_there_is(serve: Serve, owner: Person, root: Path) -> None:
    serve("--files-quota", "1.5G", "--files-space", "2T")
    shown = owner.out("df").splitlines()
    assert re.fullmatch(r" +FILES +USED +OF +LEFT", shown[0])
    assert re.search(r"0 B  1\.5 GiB  1\.5 GiB", shown[1])
    usage = json.loads(owner.out("df", "--json"))
    assert (usage["quota"], usage["all_quota"]) == (int(1.5 * (1 << 30)), 2 << 40)


def test_a_size_that_is_none_is_one_sentence(owner: Person) -> None:
    for wrong in ("lots", "-1"):
        done = owner.run("serve", f"--files-quota={wrong}")
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert "500M, 20G" in done.stderr


def test_scopes_hold_for_commands(server: Serving, people: People, owner: Person, root: Path) -> None:
    (root / "x").write_text("x")
    chatter = joined(people, owner, "ada")
    reader = joined(people, owner, "bob", "--can", "chat,files.read")
    for person, command, code in (
        (chatter, ["ls"], 4),
        (chatter, ["token"], 4),
        (reader, ["df"], 0),
        (reader, ["rm", "/x"], 4),
        (reader, ["token", "--list", "--account", "root"], 4),
    ):
        done = person.run(*command)
        assert done.returncode == code, (command, done.stderr)
    assert (root / "x").exists()


@pytest.mark.requires("curl")
def test_a_token_is_what_curl_shows(server: Serving, people: People, owner: Person, root: Path, tmp_path: Path) -> None:
    ada = joined(people, owner, "ada", "--can", "chat,files")
    made = ada.run("token", "ci", "--expires", "1h")
    token = made.stdout.strip()
    assert "ci: may files.read, files.write, for 1 h" in made.stderr

    def curl(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = ["curl", "-sSk", "--fail", "-H", f"Authorization: Bearer {token}", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    (tmp_path / "up.txt").write_text("from curl")
    base = f"https://127.0.0.1:{server.port}/files"
    assert curl("-T", str(tmp_path / "up.txt"), f"{base}/people/ada/").returncode == 0
    assert curl(f"{base}/people/ada/up.txt").stdout == "from curl"
    assert "ada" in ada.out("ls", "-l", "/people/ada")
    listed = json.loads(ada.out("token", "--list", "--json"))
    assert [(each["name"], each["device"]) for each in listed] == [("ci", "laptop")]
    owner.out("token", "--revoke", "ci", "--account", "ada")
    assert curl(f"{base}/people/ada/up.txt").returncode == 22
    assert ada.out("token", "--list") == "TOKEN  MAY  MADE ON  SINCE  UNTIL\n"


def test_what_was_interrupted_is_shown_and_can_be_removed(server: Serving, owner: Person) -> None:
    assert "interrupted" not in owner.out("df")
    token = owner.out("token").strip()
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as cut:
        head = (
            f"PUT /files/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: 9999999\r\n"
        )
        cut.sendall(f"{head}\r\n".encode() + bytes(3 << 20))
    for _ in range(100):
        if json.loads(owner.out("df", "--json"))["interrupted_files"]:
            break
    done = owner.run("df")
    assert re.search(r"^interrupted +1 +\d\.\d MiB +- +-$", done.stdout, re.MULTILINE), done.stdout
    assert "`tieline rm --interrupted` removes it now" in done.stderr
    assert owner.run("rm", "--interrupted", "/x").returncode == 2
    assert owner.run("rm").returncode == 2
    gone = owner.run("rm", "--interrupted", "--json")
    assert (json.loads(gone.stdout)["files"], "of 1 interrupted upload\n" in gone.stderr) == (1, True)
    assert "interrupted" not in owner.out("df")


def test_a_token_ends_with_the_device_it_was_made_on(server: Serving, people: People, owner: Person) -> None:
    ada = joined(people, owner, "ada", "--can", "files")
    ada.out("token", "ci")
    owner.out("revoke", "ada/laptop")
    assert owner.out("token", "--list", "--account", "ada", "--json") == "[]\n"


def test_a_pattern_lists_what_it_stands_for(server: Serving, owner: Person, root: Path) -> None:
    (root / "logs").mkdir()
    for name in ("a.txt", "b.txt", "c.csv"):
        (root / "logs" / name).write_text("hi")
    assert owner.out("ls", "logs/*.txt") == "/logs/a.txt\n/logs/b.txt\n"
    assert owner.out("ls", "/lo*") == "/logs/\n"
    assert [json.loads(line)["path"] for line in owner.out("ls", "--json", "/*/?.csv").splitlines()] == ["/logs/c.csv"]
    nothing = owner.run("ls", "/logs/*.pdf")
    assert (nothing.returncode, nothing.stderr) == (1, "tieline: nothing there is called like /logs/*.pdf\n")


def test_what_a_pattern_stands_for_is_removed_only_when_somebody_says_so(
    server: Serving, owner: Person, root: Path
) -> None:
    for name in ("a.tmp", "b.tmp", "c.txt"):
        (root / name).write_text("hi")
    asked = owner.run("rm", "*.tmp")
    assert asked.returncode == 2
    assert asked.stderr.startswith("/a.tmp\n/b.tmp\n")
    assert "nothing was removed" in asked.stderr
    assert owner.run("rm", "*.nix").returncode == 1
    assert owner.run("rm", "-f", "*.nix").returncode == 0
    assert owner.out("rm", "-f", "*.tmp", "/c.txt", "--json").count('"kind":"file"') == 3
    assert owner.out("ls") == "people/\nrooms/\n"


def test_what_a_pattern_stands_for_is_moved_into_a_folder_or_renamed_when_it_is_one(
    server: Serving, owner: Person, root: Path
) -> None:
    (root / "old").mkdir()
    for name in ("a.csv", "b.csv", "c.txt"):
        (root / name).write_text(name)
    owner.out("mv", "*.csv", "/old")
    owner.out("mv", "/?.txt", "/notes.txt")
    assert owner.out("ls") == "notes.txt\nold/\npeople/\nrooms/\n"
    assert owner.out("ls", "/old") == "a.csv\nb.csv\n"
    assert owner.run("mv", "/*.pdf", "/old/").stderr == "tieline: nothing there is called like /*.pdf\n"
    assert owner.run("mv", "/old/*.csv", "/new/").stderr == "tieline: there is no /new (2 times)\n"


@pytest.mark.parametrize(
    "command",
    [["put", "x", "ada@lab:/y"], ["get", "lab:y"], ["ls", "lab:/y"], ["rm", "lab:/y"], ["mv", "/x", "lab:/y"]],
    ids=lambda command: command[0],
)
def test_a_path_as_scp_says_it_is_answered_with_how_it_is_said_here(command: list[str], owner: Person) -> None:
    done = owner.run(*command)
    assert done.returncode == 2
    assert "on a machine that shares files, /y with --on lab\n" in done.stderr


def test_a_path_where_a_name_belongs_is_answered_with_what_to_type(owner: Person) -> None:
    done = owner.run("put", "x", "--as", "/lab/y")
    assert done.returncode == 2
    assert done.stderr.endswith("say where behind it: tieline put x /lab/y\n")
