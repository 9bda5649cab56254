"""The command line against a real server: what people type, what they see, and how it ends."""

import json
import os
import re
import signal
import stat
from pathlib import Path

import pytest

from .conftest import People, Person, Serve, Serving


def joined(people: People, owner: Person, name: str, *options: str) -> Person:
    """A person on another machine who came by a ticket."""
    person = people(name)
    ticket = owner.out("invite", name, *options).strip()
    person.out("join", ticket, "--device", "laptop")
    return person


def test_on_the_servers_own_machine_everything_just_works(server: Serving, owner: Person) -> None:
    owner.out("say", "lobby", "the", "build", "is", "green")
    assert owner.out("tail", "lobby").rstrip().endswith(": the build is green")
    assert json.loads(owner.out("rooms", "--json"))[0]["name"] == "lobby"
    assert owner.out("call", "echo.upper", "text=hello") == '"HELLO"\n'
    assert "lobby" in owner.out("rooms")


def test_a_ticket_makes_another_machine_known(server: Serving, people: People, owner: Person) -> None:
    done = owner.run("invite", "ada")
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith("tieline://")
    ada = people("ada")
    assert ada.run("join", done.stdout.strip()).returncode == 0
    ada.out("say", "lobby", "hi")
    message = json.loads(owner.out("tail", "lobby", "--json"))
    assert (message["by"], message["text"], message["position"]) == ("ada", "hi", 1)
    again = people("eve").run("join", done.stdout.strip())
    assert again.returncode == 4
    assert again.stderr.count("\n") == 1


def test_the_profile_is_private_and_a_ticket_can_be_piped(server: Serving, people: People, owner: Person) -> None:
    ada = people("ada")
    assert ada.run("join", "-", stdin=server.ticket + "\n").returncode == 0
    profile = Path(ada.environment["TIELINE_CONFIG"]) / "profiles" / "default.toml"
    assert stat.S_IMODE(profile.stat().st_mode) == 0o600
    assert [each.name for each in profile.parent.iterdir()] == ["default.toml"]
    profile.chmod(0o644)
    refused = ada.run("rooms")
    assert refused.returncode == 2
    assert f"chmod 600 {profile}" in refused.stderr


def test_a_second_server_needs_a_profile_of_its_own(server: Serving, people: People, owner: Person) -> None:
    ada = joined(people, owner, "ada")
    ticket = owner.out("invite", "ada-too").strip()
    refused = ada.run("join", ticket)
    assert refused.returncode == 2
    assert "--profile NAME" in refused.stderr
    ada.out("join", ticket, "--profile", "too", "--timeout", "1m")
    assert json.loads(ada.out("call", "accounts.whoami", "--profile", "too"))["account"] == "ada-too"
    assert json.loads(ada.out("call", "accounts.whoami"))["account"] == "ada"


def test_a_device_name_that_is_taken_leaves_the_ticket_good(server: Serving, people: People, owner: Person) -> None:
    joined(people, owner, "ada")
    ticket = owner.out("invite", "ada").strip()
    desk = people("desk")
    taken = desk.run("join", ticket, "--device", "laptop")
    assert taken.returncode == 1
    assert "laptop" in taken.stderr
    assert not list((Path(desk.environment["TIELINE_CONFIG"]) / "profiles").iterdir())
    desk.out("join", ticket, "--device", "desk")


def test_what_scopes_do_not_cover_is_refused_with_its_exit_code(server: Serving, people: People, owner: Person) -> None:
    ada = joined(people, owner, "ada")
    for command in (["invite", "eve"], ["accounts"], ["revoke", "owner/laptop"]):
        done = ada.run(*command)
        assert done.returncode == 4, done.stderr
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1


def test_accounts_and_revoking(server: Serving, people: People, owner: Person) -> None:
    ada = joined(people, owner, "ada", "--can", "chat,files")
    listed = {each["account"]: each for each in json.loads(owner.out("accounts", "--json"))}
    assert [device["name"] for device in listed["ada"]["devices"]] == ["laptop"]
    assert listed["ada"]["scopes"] == ["chat", "files.read", "files.write"]
    assert "laptop" in owner.out("accounts")
    following = ada.start("tail", "lobby", "-f", "-n", "0")
    owner.out("say", "lobby", "still here")
    assert following.stdout is not None
    owner.out("revoke", "ada/laptop")
    _, complaint = following.communicate(timeout=30)
    assert following.returncode in (3, 4), complaint
    assert ada.run("rooms").returncode == 4


def test_a_device_of_ones_own_is_revoked_by_its_name(server: Serving, people: People, owner: Person) -> None:
    ada = joined(people, owner, "ada")
    phone = people("phone")
    phone.out("join", owner.out("invite", "ada").strip(), "--device", "phone")
    assert "phone is revoked" in ada.run("revoke", "phone").stderr
    assert phone.run("rooms").returncode == 4
    assert ada.run("revoke", "phone").returncode == 1
    assert ada.run("revoke", "owner/laptop").returncode != 0
    ada.out("revoke", "laptop")
    assert ada.run("rooms").returncode == 4


def test_a_ticket_can_be_taken_back(server: Serving, people: People, owner: Person) -> None:
    ticket = owner.out("invite", "ada").strip()
    owner.out("revoke", f"ticket/{ticket.partition('#')[2].partition('-')[0]}")
    assert people("ada").run("join", ticket).returncode == 4


def test_each_line_of_input_is_a_message_in_order(server: Serving, owner: Person) -> None:
    text = "".join(f"line {number}\n" for number in range(2000))
    stored = [json.loads(line) for line in owner.out("say", "log", "--json", stdin=text).splitlines()]
    assert [each["position"] for each in stored] == list(range(1, 2001))
    messages = [json.loads(line) for line in owner.out("tail", "log", "-n", "5000", "--json").splitlines()]
    assert [each["text"] for each in messages] == text.splitlines()
    assert [each["id"] for each in messages] == [each["id"] for each in stored]


def test_a_line_that_is_too_long_ends_it_and_the_count_is_told(server: Serving, owner: Person) -> None:
    done = owner.run("say", "log", stdin="one\ntwo\n" + "x" * 100_000 + "\n")
    assert done.returncode == 2
    assert "2 lines are stored" in done.stderr
    assert "limit" in done.stderr


def test_direct_messages(server: Serving, people: People, owner: Person) -> None:
    ada, bob = joined(people, owner, "ada"), joined(people, owner, "bob")
    ada.out("say", "@bob", "psst")
    assert bob.out("tail", "@ada").endswith("ada: psst\n")
    assert owner.run("tail", "@ada", "--json").stdout == ""


def unread(person: Person) -> dict[str, int]:
    return {room["name"]: room["unread"] for room in json.loads(person.out("rooms", "--json"))}


def test_what_tail_printed_is_read_by_this_account_only(server: Serving, people: People, owner: Person) -> None:
    ada, bob = joined(people, owner, "ada"), joined(people, owner, "bob")
    owner.out("say", "lobby", stdin="one\ntwo\n")
    owner.out("say", "builds", "green")
    ada.out("tail", "lobby", "-n", "0")
    assert unread(ada) == {"builds": 1, "lobby": 2}
    ada.out("tail", "lobby")
    assert unread(ada) == {"builds": 1, "lobby": 0}
    assert unread(bob) == {"builds": 1, "lobby": 2}
    following = ada.start("tail", "builds", "-f")
    assert following.stdout is not None
    assert "green" in following.stdout.readline()
    owner.out("say", "builds", "red")
    assert "red" in following.stdout.readline()
    following.send_signal(signal.SIGINT)
    assert following.wait(30) == 130
    assert unread(ada) == {"builds": 0, "lobby": 0}


def test_who_is_at_the_server_and_who_is_in_a_room(server: Serving, people: People, owner: Person) -> None:
    ada, bob = joined(people, owner, "ada"), joined(people, owner, "bob")
    talking = ada.start("chat", "builds")
    assert talking.stdout is not None
    assert "builds" in talking.stdout.readline()
    assert bob.out("who").split() == ["ada", "bob"]
    assert json.loads(bob.out("who", "--json")) == {"accounts": ["ada", "bob"]}
    assert bob.out("who", "builds").split() == ["ada"]
    nobody = bob.run("who", "lobby")
    assert (nobody.stdout, nobody.stderr) == ("", "Nobody is in lobby.\n")


def test_following_goes_on_over_a_restart_of_the_server(serve: Serve, people: People, owner: Person) -> None:
    first = serve()
    ada = joined(people, owner, "ada")
    owner.out("say", "lobby", "before")
    following = ada.start("tail", "lobby", "-f")
    assert following.stdout is not None
    assert following.stdout.readline().endswith(": before\n")
    assert first.stop() == 0
    serve(listen=f"127.0.0.1:{first.port}")
    owner.out("say", "lobby", "after one")
    owner.out("say", "lobby", "after two")
    assert following.stdout.readline().endswith(": after one\n")
    assert following.stdout.readline().endswith(": after two\n")
    following.send_signal(signal.SIGINT)
    _, said = following.communicate(timeout=30)
    assert following.returncode == 130
    assert "Traceback" not in said


def test_a_reader_that_has_enough_is_no_error_message(server: Serving, owner: Person) -> None:
    owner.out("say", "log", stdin="".join(f"line {number} {'x' * 200}\n" for number in range(2000)))
    reading = owner.start("tail", "log", "-n", "2000")
    assert reading.stdout is not None
    assert reading.stderr is not None
    reading.stdout.readline()
    reading.stdout.close()
    assert reading.wait(30) == 141
    assert reading.stderr.read() == ""
    reading.stderr.close()


def test_what_others_write_cannot_act_on_the_terminal(server: Serving, owner: Person) -> None:
    evil = "\x1b]52;c;ZXZpbA==\x07\x9b2J\u202eevil"
    owner.out("call", "chat.topic", json.dumps({"room": "lobby", "text": "\x1b[2J"}))
    owner.out("call", "chat.post", json.dumps({"room": "lobby", "text": evil, "id": "1"}))
    for command in (["tail", "lobby"], ["rooms"], ["tail", "lobby", "--json"], ["rooms", "--json"]):
        shown = owner.out(*command)
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown), command
    assert json.loads(owner.out("tail", "lobby", "--json"))["text"] == evil


def test_chat_works_through_pipes(server: Serving, people: People, owner: Person) -> None:
    ada = joined(people, owner, "ada")
    owner.out("say", "lobby", "welcome")
    talking = ada.start("chat")
    assert talking.stdin is not None
    assert talking.stdout is not None
    seen = [talking.stdout.readline()]
    while "welcome" not in seen[-1]:
        seen.append(talking.stdout.readline())
    talking.stdin.write("hello all\n/nonsense\n/help\n//slash\n")
    talking.stdin.close()
    rest = talking.stdout.read()
    assert talking.wait(30) == 0
    assert "there is no /nonsense" in rest
    assert "/join ROOM" in rest
    texts = [json.loads(line)["text"] for line in owner.out("tail", "lobby", "--json").splitlines()]
    assert texts == ["welcome", "hello all", "/slash"]
    talking.stdout.close()
    assert talking.stderr is not None
    talking.stderr.close()


def test_the_password_is_set_without_being_seen(server: Serving, people: People, owner: Person) -> None:
    ada = joined(people, owner, "ada")
    assert ada.run("password", stdin="").returncode == 2
    done = ada.run("password", stdin="correct horse\n")
    assert done.returncode == 0
    assert "correct horse" not in done.stdout + done.stderr
    devices = json.loads(owner.out("accounts", "--json"))[1]["devices"]
    assert [device["name"] for device in devices] == ["laptop", "password"]


def test_calls_answer_with_json_and_streams_with_json_lines(server: Serving, owner: Person) -> None:
    assert owner.out("call", "echo.count", "to=3") == "1\n2\n3\n"
    assert owner.out("call", "echo.say", '{"value": {"deep": [1, null]}}') == '{"deep":[1,null]}\n'
    for arguments, code in ((["no.such"], 1), (["echo.upper", "txt=x"], 2), (["echo.upper", "text=3"], 2)):
        done = owner.run("call", *arguments)
        assert done.returncode == code, done.stderr
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1


def test_methods_are_listed_with_their_types(server: Serving, owner: Person) -> None:
    assert re.search(r"^echo\.upper\(text: str\) -> str$", owner.out("methods"), re.MULTILINE)
    assert "stream of int" in owner.out("methods", "echo.")
    assert json.loads(owner.out("methods", "--openrpc"))["openrpc"].startswith("1.")


def test_status_shows_each_link(server: Serving, people: People, owner: Person) -> None:
    assert owner.out("status").splitlines()[0].endswith(", 1 link")
    ada = joined(people, owner, "ada")
    following = ada.start("tail", "lobby", "-f")
    while "ada" not in (shown := owner.out("status")):
        assert following.poll() is None
    assert re.search(r"^ada +laptop .*tls.*open", shown, re.MULTILINE)
    assert {link["account"] for link in json.loads(owner.out("status", "--json"))["links"]} > {"ada"}
    following.send_signal(signal.SIGINT)
    following.communicate(timeout=30)


def test_doctor_finds_nothing_wrong_where_all_is_well(server: Serving, people: People, owner: Person) -> None:
    ada = joined(people, owner, "ada")
    found = json.loads(ada.out("doctor", "--json"))
    assert [each["step"] for each in found] == ["name", "network", "port", "certificate", "login", "clock"]
    assert {each["result"] for each in found} == {"ok"}
    owner.out("revoke", "ada/laptop")
    ill = ada.run("doctor")
    assert ill.returncode == 4
    assert "tieline join TICKET" in ill.stdout


def test_without_a_server_each_command_is_one_sentence(people: People) -> None:
    nobody = people("nobody")
    for command in (["rooms"], ["say", "lobby", "x"], ["tail", "lobby", "-f"], ["status"], ["doctor"], ["chat"]):
        done = nobody.run(*command)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert "tieline join TICKET" in done.stderr
    refused = nobody.run("rooms", "--server", "tls://127.0.0.1:1")
    assert refused.returncode == 3
    assert refused.stderr.count("\n") == 1


def test_a_ticket_that_leads_nowhere_is_not_shown_again(people: People) -> None:
    ada = people("ada")
    done = ada.run("join", f"tieline://127.0.0.1:1/ada?pin={'ab' * 32}#abcdefgh-secretsecretsecret")
    assert done.returncode == 3
    assert "127.0.0.1:1" in done.stderr
    assert "secretsecret" not in done.stderr
    assert not list((Path(ada.environment["TIELINE_CONFIG"]) / "profiles").iterdir())


def test_a_guest_may_look_in_where_guests_are_welcome(serve: Serve, people: People, owner: Person) -> None:
    port = serve("--guests").port
    owner.out("say", "lobby", "hello guests")
    assert "hello guests" in people("guest").out("tail", "lobby", "--server", f"tcp://127.0.0.1:{port}")


def test_ctrl_c_ends_a_command_that_waits(server: Serving, owner: Person) -> None:
    owner.out("say", "lobby", "first")
    waiting = owner.start("tail", "lobby", "-f")
    assert waiting.stdout is not None
    assert "first" in waiting.stdout.readline()
    waiting.send_signal(signal.SIGINT)
    out, said = waiting.communicate(timeout=30)
    assert (waiting.returncode, out, said) == (130, "", "")


def test_no_secret_is_in_the_log_or_among_the_processes(serve: Serve, people: People, owner: Person) -> None:
    server = serve("--log-level", "debug")
    ada = people("ada")
    ticket = owner.out("invite", "ada").strip()
    ada.out("join", "-", stdin=ticket)
    ada.out("password", stdin="correct horse\n")
    profile = (Path(ada.environment["TIELINE_CONFIG"]) / "profiles" / "default.toml").read_text()
    key = re.search(r'^key = "(.+)"$', profile, re.MULTILINE)
    assert key is not None
    arguments = Path(f"/proc/{server.process.pid}/cmdline").read_bytes() if os.path.isdir("/proc") else b""
    server.stop()
    screen, _, log = server.text.partition("serving on")
    for secret in (ticket.partition("#")[2], "correct horse", key[1]):
        assert secret not in server.text
        assert secret.encode() not in arguments
    assert server.ticket.partition("#")[2] not in log
    assert screen


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_drains_the_server_and_it_exits_with_0(server: Serving, number: signal.Signals) -> None:
    assert server.stop(number) == 0
    assert "Traceback" not in server.text
    assert server.text.rstrip().endswith("stopped")


def test_the_owners_ticket_is_shown_once(serve: Serve, people: People, owner: Person) -> None:
    first = serve()
    people("ada").out("join", first.ticket)
    first.stop()
    second = serve()
    assert "tieline join '" not in second.text


def test_reasons_not_to_start_are_one_sentence(server: Serving, people: People, owner: Person, tmp_path: Path) -> None:
    other = people("other")
    taken = other.run("serve", "--listen", f"127.0.0.1:{server.port}")
    assert taken.returncode == 2
    assert str(server.port) in taken.stderr
    held = owner.run("serve", "--listen", "127.0.0.1:0")
    assert held.returncode == 2
    assert "in use by another Tieline server" in held.stderr
    (tmp_path / "file").write_text("")
    unusable = other.run("serve", "--data", str(tmp_path / "file"), "--listen", "127.0.0.1:0")
    assert unusable.returncode == 2
    for done in (taken, held, unusable):
        assert done.stdout == ""
        assert done.stderr.count("\n") == 1, done.stderr


def test_settings_come_from_the_environment_and_a_file_too(serve: Serve, owner: Person, tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_text('name = "from file"\njson_log = true\n')
    owner.environment["TIELINE_NAME"] = "from environment"
    server = serve("--config", str(file))
    assert json.loads(server.said[-1])["logger"] == "tieline.serve"
    assert "from environment: tieline" in owner.out("status")
