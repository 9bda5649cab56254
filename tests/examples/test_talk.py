"""`tieline gallery talk` and callers with bare sockets."""

import pytest


@pytest.fixture
def talk(gallery):
    return gallery("talk")


@pytest.fixture
def joined(talk, call):
    """A caller who is in the talk, and the name it was given."""

    def join():
        client = call(talk)
        place = "{}:{}".format(*client.getsockname())
        return client, talk.until(lambda line: line.endswith(f"from {place}")).split()[0]

    return join


def test_a_learners_client_and_the_person_here_talk_in_turn(talk, joined):
    client, name = joined()
    for number in range(3):
        client.send(b"question %d" % number)
        talk.until(lambda line, said=f"{name}: question {number}": line == said)
        talk.type(f"answer {number}\n")
        assert client.recv(1024) == b"answer %d" % number


def test_what_is_typed_goes_to_all_or_to_the_one_named(talk, joined):
    (one, first), (other, second) = joined(), joined()
    assert first != second
    talk.type("to all\n")
    assert (one.recv(1024), other.recv(1024)) == (b"to all", b"to all")
    talk.type(f"@{second} to you\n@{first} to me\n")
    assert (other.recv(1024), one.recv(1024)) == (b"to you", b"to me")


def test_q_from_a_caller_ends_its_part_and_q_typed_here_ends_all(talk, joined):
    (one, first), (other, second) = joined(), joined()
    one.send(b"Q")
    assert one.recv(1024) == b""
    talk.until(lambda line: line == f"{first} has gone")
    other.send(b"still here")
    talk.until(lambda line: line == f"{second}: still here")
    talk.type("Q\n")
    assert other.recv(1024) == b"Q"
    assert other.recv(1024) == b""
    talk.ended()


def test_two_people_with_this_program_talk(gallery, start_script):
    here = gallery("talk", "--lines")
    there = start_script("-m", "tieline", "gallery", "talk", "--lines", "--dial", here.address)
    there.type("hello\nare you there?\n")
    here.until(lambda line: line == "caller-1: are you there?")
    here.type("yes\nQ\n")
    there.until(lambda line: line == "they: yes")
    here.ended()
    there.ended()


def test_callers_who_send_lines_are_understood_in_pieces_and_together(talk, joined):
    client, name = joined()
    client.send(b"one\ntwo\n")
    talk.until(lambda line: line == f"{name}: one")
    talk.until(lambda line: line == f"{name}: two")
    e_acute = "é".encode()
    client.send(e_acute[:1])
    client.send(e_acute[1:])
    talk.until(lambda line: line == f"{name}: é")


def test_what_a_caller_sends_does_nothing_to_the_terminal(talk, joined):
    client, name = joined()
    client.send(b"\x1b[2Jgone?")
    talk.until(lambda line: line == f"{name}: \u241b[2Jgone?")


def test_who_vanishes_is_gone_and_who_floods_holds_up_nobody(talk, joined, vanish, flood):
    (gone, lost), (flooding, _), (other, name) = joined(), joined(), joined()
    gone.send(b"in the mid")
    vanish(gone)
    talk.until(lambda line: line == f"{lost} has gone")
    flood(flooding, b"x" * 1000)
    other.send(b"may I?")
    talk.until(lambda line: line == f"{name}: may I?")


def test_a_hundred_at_once(talk, joined, at_once):
    def one(number: int) -> bytes:
        client, name = joined()
        client.send(b"I am %d" % number)
        talk.until(lambda line: line == f"{name}: I am {number}")
        return client

    clients = at_once(one)
    talk.type("welcome\n")
    assert [client.recv(1024) for client in clients] == [b"welcome"] * 100
