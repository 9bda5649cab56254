"""`tieline gallery groupchat` and members with bare sockets."""

import re
import socket

import pytest


class Member:
    """A learner's client: sends text, reads lines."""

    def __init__(self, sock: socket.socket, encoding: str = "utf-8", newline: str = "\n") -> None:
        self.sock = sock
        self.name = "{}:{}".format(*sock.getsockname())
        self.encoding = encoding
        self.newline = newline
        self._rest = b""

    def say(self, text: str) -> None:
        self.sock.sendall((text + self.newline).encode(self.encoding))

    def hear(self) -> str:
        """The next message, without its date."""
        while b"\n" not in self._rest:
            piece = self.sock.recv(65536)
            if not piece:
                return "the end"
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        found = re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (.*)", line.decode(self.encoding))
        assert found, line
        return found[1]

    def hear_until(self, text: str) -> None:
        while (heard := self.hear()) != text:
            assert heard != "the end"


@pytest.fixture
def member(call):
    """Somebody who has joined, which is when they hear themselves."""

    def join(chat, *options: str) -> Member:
        made = Member(call(chat), *options)
        made.say("hello")
        made.hear_until(f"{made.name}: hello")
        return made

    return join


@pytest.fixture
def chat(gallery):
    return gallery("groupchat")


def test_a_message_reaches_everyone_its_sender_too_with_date_address_and_text(chat, member):
    ada, bob = member(chat), member(chat)
    ada.say("你好, bob")
    assert bob.hear() == f"{ada.name}: 你好, bob"
    ada.hear_until(f"{ada.name}: 你好, bob")


def test_quit_leaves_after_what_was_said_before_it(chat, member):
    ada, bob = member(chat), member(chat)
    ada.hear_until(f"{bob.name}: hello")
    ada.sock.sendall(b"bye\nquit\n")
    assert (ada.hear(), ada.hear()) == (f"{ada.name}: bye", "the end")
    assert bob.hear() == f"{ada.name}: bye"
    bob.say("alone")
    assert bob.hear() == f"{bob.name}: alone"


def test_the_operators_quit_stops_it_cleanly(chat, member):
    ada = member(chat)
    chat.type("welcome\n")
    assert ada.hear() == "operator: welcome"
    chat.type("quit\n")
    assert ada.hear() == "the end"
    chat.ended()


def test_another_encoding(gallery, member):
    chat = gallery("groupchat", "--encoding", "gbk")
    ada, bob = member(chat, "gbk"), member(chat, "gbk")
    ada.say("大家好")
    assert bob.hear() == f"{ada.name}: 大家好"
    ada.sock.sendall(b"\xff\xfe\x80\n")  # no GBK, and no harm
    assert bob.hear().startswith(f"{ada.name}: ")
    ada.say("\x1b[2J")
    assert bob.hear() == f"{ada.name}: ?[2J"


def test_callers_who_send_no_newline(gallery, member):
    chat = gallery("groupchat", "--chunks", "--encoding", "gbk")
    ada, bob = member(chat, "gbk", ""), member(chat, "gbk", "")
    ada.say("你好")
    assert bob.hear() == f"{ada.name}: 你好"
    ada.sock.sendall("好".encode("gbk")[:1])
    ada.sock.sendall("好".encode("gbk")[1:])
    assert bob.hear() == f"{ada.name}: 好"
    ada.sock.sendall(b"one\ntwo\r\n")
    assert (bob.hear(), bob.hear()) == (f"{ada.name}: one", f"{ada.name}: two")
    ada.say("quit")
    ada.hear_until(f"{ada.name}: two")
    assert ada.hear() == "the end"


def test_one_byte_at_a_time_is_one_message_and_two_in_a_packet_are_two(chat, member):
    ada, bob = member(chat), member(chat)
    for byte in "langsam é\n".encode():
        ada.sock.send(bytes([byte]))
    assert bob.hear() == f"{ada.name}: langsam é"
    ada.sock.send(b"one\ntwo\n")
    assert (bob.hear(), bob.hear()) == (f"{ada.name}: one", f"{ada.name}: two")


def test_the_dead_are_removed_and_nobody_minds(chat, member, vanish):
    bob = member(chat)
    for _ in range(10):
        ada = member(chat)
        bob.hear_until(f"{ada.name}: hello")
        ada.sock.send(b"half a mess")
        vanish(ada.sock)
    bob.say("still here")
    bob.hear_until(f"{bob.name}: still here")


@pytest.mark.parametrize("options", [(), ("--chunks",)])
def test_the_longest_message_there_can_be_reaches_everybody(gallery, member, options):
    chat = gallery("groupchat", *options)
    ada, bob = member(chat), member(chat)
    for text in ("x" * 4090, "é" * 2047, "\x1b" * 4095):
        ada.say(text)
        assert bob.hear() == f"{ada.name}: {text}".replace("\x1b", "\u241b")
    bob.say("all there")
    ada.hear_until(f"{bob.name}: all there")


def test_a_line_without_an_end_is_put_out(chat, member):
    ada, bob = member(chat), member(chat)
    try:
        ada.sock.sendall(b"x" * 1_000_000)
        assert ada.sock.recv(1 << 20)
    except ConnectionError:
        pass  # put out in the middle of it
    bob.say("still here")
    bob.hear_until(f"{bob.name}: still here")


def test_a_member_who_does_not_read_holds_up_nobody_and_costs_no_more_than_a_bound(chat, member, call):
    ada, bob = member(chat), member(chat)
    slow = Member(call(chat))
    slow.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    slow.say("I shall not read")
    bob.hear_until(f"{slow.name}: I shall not read")
    before = memory(chat)
    for number in range(80):
        for _ in range(100):
            ada.say("x" * 4000)  # 32 MB in all
        ada.say(f"round {number}")
        bob.hear_until(f"{ada.name}: round {number}")
        ada.hear_until(f"{ada.name}: round {number}")
    assert memory(chat) - before < 12 << 20
    slow.hear_until(f"{ada.name}: round 79")  # who reads again is told what was kept


def memory(chat) -> int:
    """Bytes resident."""
    with open(f"/proc/{chat.process.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_a_hundred_at_once(chat, call, at_once):
    def one(number: int) -> Member:
        made = Member(call(chat))
        made.say(f"hello from {number}")
        made.hear_until(f"{made.name}: hello from {number}")
        return made

    members = at_once(one)
    members[0].say("to all of you")
    for each in members:
        each.hear_until(f"{members[0].name}: to all of you")
