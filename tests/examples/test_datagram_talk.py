"""`tieline gallery datagram-talk` and bare datagram sockets."""

import socket

import pytest


@pytest.fixture
def talk(gallery):
    return gallery("datagram-talk")


@pytest.fixture
def sender(talk):
    made = []

    def make():
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.settimeout(20)
        sock.bind(("127.0.0.1", 0))
        made.append(sock)
        return sock, "{}:{}".format(*sock.getsockname())

    yield make
    for sock in made:
        sock.close()


def test_a_learners_client_and_the_person_here_talk_in_turn(talk, sender):
    client, name = sender()
    for number in range(3):
        client.sendto(b"question %d" % number, talk.place)
        talk.until(lambda line, said=f"{name}: question {number}": line == said)
        talk.type(f"answer {number}\n")
        assert client.recvfrom(1024) == (b"answer %d" % number, talk.place)


def test_an_answer_goes_to_who_spoke_last_or_to_the_one_named(talk, sender):
    (one, first), (other, second) = sender(), sender()
    one.sendto("naïve".encode(), talk.place)
    talk.until(lambda line: line == f"{first}: naïve")
    other.sendto(b"me too", talk.place)
    talk.until(lambda line: line == f"{second}: me too")
    talk.type(f"last\n@{first} first\n")
    assert (other.recv(1024), one.recv(1024)) == (b"last", b"first")


def test_q_from_a_sender_ends_its_part_and_q_typed_here_ends_all(talk, sender):
    (one, first), (other, second) = sender(), sender()
    for sock, name in ((one, first), (other, second)):
        sock.sendto(b"", talk.place)
        talk.until(lambda line, name=name: line == f"{name}: ")
    one.sendto(b"Q", talk.place)
    talk.until(lambda line: line == f"{first} has gone")
    talk.type("Q\n")
    assert other.recv(1024) == b"Q"
    talk.ended()
    one.setblocking(False)
    with pytest.raises(BlockingIOError):
        one.recv(1024)


def test_senders_who_are_gone_and_bytes_that_are_no_text_harm_nobody(talk, sender):
    gone, lost = sender()
    gone.sendto(b"\xff\xfe\x1b[2J", talk.place)
    talk.until(lambda line: line.startswith(f"{lost}: "))
    gone.close()
    talk.type("anybody?\nagain\n")
    client, name = sender()
    client.sendto(b"here", talk.place)
    talk.until(lambda line: line == f"{name}: here")
    talk.type("good\n")
    while (heard := client.recv(1024)) != b"good":
        assert heard in (b"anybody?", b"again")  # what is typed is read by a thread of its own, and may be late
    assert not any("\x1b" in line for line in talk.printed)


def test_after_a_flood_the_next_is_heard(talk, sender):
    (flooding, _), (client, name) = sender(), sender()
    for _ in range(3000):
        flooding.sendto(b"x" * 100, talk.place)
    for number in range(20):  # datagrams may be lost; a person says it again
        client.sendto(b"may I?", talk.place)
        try:
            talk.type(f"@{name} yes {number}\n")
            client.settimeout(1)
            assert client.recv(1024).startswith(b"yes")
            return
        except TimeoutError:
            continue
    raise AssertionError("nobody was heard after the flood")


def test_a_hundred_at_once(talk, sender, at_once):
    def one(number: int) -> str:
        sock, name = sender()
        sock.sendto(b"I am %d" % number, talk.place)
        return talk.until(lambda line: line == f"{name}: I am {number}")

    assert len(at_once(one)) == 100
