"""`tieline run` as people and scripts use it: real processes, and a server that runs commands."""

import json
import os
import signal
import subprocess
import sys
import threading

import pytest

from .conftest import DEADLINE, Person, Serve, Serving


@pytest.fixture
def server(serve: Serve) -> Serving:
    return serve("--allow-shell")


def ran(owner: Person, *arguments: str, given: bytes | None = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "tieline", "run", *arguments],
        env=owner.environment,
        input=given,
        capture_output=True,
        timeout=DEADLINE,
    )


def started(owner: Person, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "tieline", "run", *arguments],
        env=owner.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def ended(process: "subprocess.Popen[bytes]") -> tuple[int, bytes, bytes]:
    out, err = process.communicate(timeout=DEADLINE)
    return process.returncode, out, err


def test_outputs_input_and_exit_code_are_those_of_the_command(server: Serving, owner: Person) -> None:
    data = bytes(range(256)) * 5000
    done = ran(owner, "--", "sh", "-c", "cat; echo errors >&2; exit 42", given=data)
    assert (done.returncode, done.stdout, done.stderr) == (42, data, b"errors\n")


def test_for_a_program_it_is_one_document(server: Serving, owner: Person) -> None:
    done = ran(
        owner, "--json", "--", "sh", "-c", "cat; printf 'caf\\303\\251'; printf '\\377' >&2; exit 3", given=b"unread"
    )
    assert (done.returncode, done.stderr) == (3, b"")
    assert json.loads(done.stdout) == {
        "machine": "",
        "code": 3,
        "about": "",
        "stdout": "caf\u00e9",
        "stderr_base64": "/w==",
    }
    done = ran(owner, "--group", "--", "true")
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"goes with --on" in done.stderr


def test_options_behind_the_command_are_the_commands(server: Serving, owner: Person) -> None:
    assert ran(owner, "echo", "-n", "--timeout", "x").stdout == b"--timeout x"


def test_no_shell_reads_the_words_unless_asked_to(server: Serving, owner: Person) -> None:
    assert ran(owner, "--", "echo", "$HOME;", "*", "`id`").stdout == b"$HOME; * `id`\n"
    assert ran(owner, "--shell", "echo $((40+2)); exit 3").stdout == b"42\n"


def test_folder_and_variables(server: Serving, owner: Person) -> None:
    done = ran(owner, "--cwd", "/tmp", "--env", "GREETING=hello you", "--", "sh", "-c", 'pwd; echo "$GREETING"')
    assert done.stdout == b"/tmp\nhello you\n"
    refused = ran(owner, "--env", "LD_PRELOAD=x", "true")
    assert refused.returncode == 255
    assert b"LD_PRELOAD" in refused.stderr


def test_little_of_the_servers_environment_is_the_commands(serve: Serve, owner: Person) -> None:
    owner.environment["A_SECRET_OF_THE_SERVER"] = "yes"
    serve("--allow-shell")
    names = {line.partition(b"=")[0] for line in ran(owner, "env").stdout.splitlines()}
    assert b"PATH" in names
    assert not {name for name in names if b"SECRET" in name or name in (b"TIELINE_DATA", b"PYTHONPATH")}


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--", "sh", "-c", "kill -9 $$"), 137, "ended by SIGKILL"),
        (("--", "no-such-program"), 127, "no command 'no-such-program'"),
        (("--", "/etc/passwd"), 126, "not a program"),
        (("--cwd", "/no/such/folder", "true"), 255, "/no/such/folder"),
        (("--timeout", "1s", "sleep", "100"), 124, "did not end within 1 s"),
        (("--on", "nowhere", "true"), 255, "nowhere"),
        (("--on", "none-*", "true"), 255, "none-*"),
        (("--on", "server", "true"), 255, "without --on it is the server's own"),
        (("ls -l | wc",), 127, "to have sh read it, use --shell"),
    ],
)
def test_trouble_has_a_sentence_and_a_number(
    server: Serving, owner: Person, arguments: tuple[str, ...], code: int, said: str
) -> None:
    done = ran(owner, *arguments)
    assert (done.returncode, done.stdout) == (code, b"")
    assert said in done.stderr.decode()
    assert done.stderr.count(b"\n") == 1


def test_a_server_that_runs_no_commands_says_what_to_do(serve: Serve, owner: Person) -> None:
    serve()
    done = ran(owner, "true")
    assert done.returncode == 255
    assert b"--allow-shell" in done.stderr


def test_ctrl_c_interrupts_the_command_and_its_end_is_told(server: Serving, owner: Person) -> None:
    script = "trap 'echo interrupted; exit 5' INT; echo up; while :; do sleep 0.1; done"
    process = started(owner, "--", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGINT)
    assert ended(process) == (5, b"interrupted\n", b"")


def test_a_second_ctrl_c_gives_up_on_it(server: Serving, owner: Person) -> None:
    process = started(owner, "--", "sh", "-c", "trap 'echo no' INT; echo up; while :; do sleep 0.1; done")
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == b"no\n"
    process.send_signal(signal.SIGINT)
    assert ended(process)[0] == 130


def test_a_reader_that_goes_away_ends_the_command_as_a_pipe_does_here(server: Serving, owner: Person) -> None:
    process = started(owner, "--", "yes")
    assert process.stdout is not None
    assert process.stdout.read(10) == b"y\n" * 5
    process.stdout.close()
    assert process.stderr is not None
    with process.stderr:
        assert process.wait(DEADLINE) == 141
        assert process.stderr.read() == b""


def test_neither_output_waits_for_the_other(server: Serving, owner: Person) -> None:
    """The whole of the errors first, then the whole of the output: 5 MB each, which no pipe holds."""
    script = "head -c 5000000 /dev/zero >&2 & head -c 5000000 /dev/zero; wait"
    process = started(owner, "--", "sh", "-c", script)
    assert process.stdout is not None
    assert process.stderr is not None
    watchdog = threading.Timer(DEADLINE, process.kill)
    watchdog.start()
    # One that reads them one after the other waits for ever on the machine itself; here a thread reads each.
    sizes: dict[str, int] = {}
    stdout, stderr = process.stdout, process.stderr
    first = threading.Thread(target=lambda: sizes.update(out=len(stdout.read())))
    first.start()
    sizes["err"] = len(stderr.read())
    first.join()
    watchdog.cancel()
    assert process.wait(DEADLINE) == 0
    assert sizes == {"out": 5_000_000, "err": 5_000_000}
    stdout.close()
    stderr.close()


def test_in_a_loop_it_leaves_the_input_to_the_loop(server: Serving, owner: Person) -> None:
    loop = 'while read -r word; do "$0" -m tieline run -n -- echo "got $word"; done'
    done = subprocess.run(
        ["sh", "-c", loop, sys.executable],
        env=owner.environment,
        input=b"one\ntwo\nthree\n",
        capture_output=True,
        timeout=DEADLINE * 2,
    )
    assert done.stdout == b"got one\ngot two\ngot three\n"


def test_its_outputs_stay_as_blocking_as_they_were(server: Serving, owner: Person) -> None:
    reading, writing = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "tieline", "run", "echo", "x"],
            env=owner.environment,
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=subprocess.DEVNULL,
        )
        assert process.wait(DEADLINE) == 0
        assert os.get_blocking(writing)
        assert os.read(reading, 10) == b"x\n"
    finally:
        os.close(reading)
        os.close(writing)


def test_what_was_run_and_who_may_run_what(server: Serving, owner: Person) -> None:
    assert ran(owner, "echo", "hello world").returncode == 0
    table = owner.out("audit", "--last", "1").splitlines()
    assert table[0].split() == ["WHEN", "WHO", "WHERE", "TOOK", "WROTE", "ENDED", "COMMAND"]
    assert "exit 0" in table[1]
    assert "echo 'hello world'" in table[1]
    account = table[1].split()[2].partition("/")[0]
    owner.out("allow", account, "--commands", "echo", "--on", "server")
    assert ran(owner, "echo", "still").stdout == b"still\n"
    refused = ran(owner, "touch", "x")
    assert refused.returncode == 255
    assert b"may run echo here, and not touch" in refused.stderr
    owner.out("allow", account, "--commands", "ANY", "--on", "ANY")
    assert ran(owner, "true").returncode == 0
    assert owner.run("allow", account).returncode == 2


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_standard_descriptor_is_nothing_at_all(server: Serving, owner: Person, closed: str) -> None:
    """Its number would else be given to the link, and what the command says be written into that."""
    line = f'"$0" -m tieline run -- sh -c "cat; echo out; echo errors >&2; exit 7" {closed}'
    done = subprocess.run(
        ["sh", "-c", line, sys.executable], env=owner.environment, input=b"", capture_output=True, timeout=DEADLINE
    )
    assert done.returncode == 7
    assert done.stdout == (b"" if ">&- " in f"{closed} " and closed != "2>&-" else b"out\n")
    assert done.stderr == (b"" if "2>&-" in closed else b"errors\n")


def test_an_output_that_cannot_be_written_is_one_sentence(server: Serving, owner: Person) -> None:
    with open("/dev/full", "wb") as full:
        command = [sys.executable, "-m", "tieline", "run", "-n", "--", "echo", "hi"]
        done = subprocess.run(command, env=owner.environment, stdout=full, stderr=subprocess.PIPE, timeout=DEADLINE)
    assert (done.returncode, done.stderr) == (255, b"tieline: standard output: No space left on device\n")


@pytest.mark.parametrize("command", ["run", "shell"])
@pytest.mark.parametrize("option", ["--onn", "-x"])
def test_a_misspelled_option_is_not_taken_for_the_command(owner: Person, command: str, option: str) -> None:
    done = owner.run(command, option, "lab-1", "--", "true")
    assert done.returncode == 2
    assert f"No such option '{option}'" in done.stderr


def test_a_shell_without_a_terminal_says_what_to_use(owner: Person) -> None:
    done = owner.run("shell")
    assert done.returncode == 2
    assert done.stderr == "tieline: a shell needs a terminal on both ends; without one, use `tieline run`\n"
