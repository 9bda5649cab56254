"""A person at the lines door."""

import asyncio
import re
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tieline.doors.words import WORDS
from tieline.limits import Limits
from tieline.slash import SlashCommand


def times():
    """The time of day now, and a minute ago: a test may run over the full minute."""
    return [f"{datetime.now() - timedelta(minutes=ago):%H:%M}" for ago in (0, 1)]


async def test_two_people_talk(house):
    ada = house.visit()
    assert "here: a Tieline server" in await ada.sees("name: ")
    ada.types("ada")
    assert "seen as you type it" in await ada.sees(": ")
    assert not ada.opening.is_done
    ada.types("lovelace")
    assert "you are in lobby" in await ada.sees("* here: ada (you)\n")
    assert ada.opening.is_done
    bob = await house.visit_as("bob")
    await ada.sees("* bob joined\n")
    ada.types("hello bob")
    assert re.fullmatch(r"\d\d:\d\d ada: hello bob\n", await bob.sees("hello bob\n"))
    bob.types("hello ada")
    seen = await ada.sees("bob: hello ada\n")
    assert "hello bob" not in seen, "an own line comes back"
    bob.types("/quit")
    assert "Goodbye." in await bob.parts()
    await ada.sees("* bob left\n")


async def test_help_is_made_of_the_words_there_are(house):
    ada = await house.visit_as("ada")
    ada.types("/help")
    said = await ada.sees("JSON-RPC 2.0")
    for word in WORDS.values():
        assert f"{word.usage} " in said
        assert word.about in said
    assert {"help", "join", "who", "msg", "history", "rooms", "quit"} <= set(WORDS)


async def test_a_word_that_is_none_says_where_to_look(house):
    ada = await house.visit_as("ada")
    ada.types("/dance \x1b[31m", "/", "/join", "/msg bob", "/history x")
    await ada.sees("there is no /dance; /help lists")
    await ada.sees("there is no /; /help lists")
    await ada.sees("type /join ROOM")
    await ada.sees("type /msg NAME TEXT")
    await ada.sees("type /history [COUNT], a number above zero")


async def test_another_room_is_another_conversation(house):
    ada, bob = await house.visit_as("ada"), await house.visit_as("bob")
    await ada.sees("* bob joined")
    bob.types("/join #builds")
    await bob.sees("* you are in builds\n* here: bob (you)\n")
    await ada.sees("* bob left")
    bob.types("in builds")
    ada.types("in the lobby", "/join builds")
    assert "in the lobby" not in await ada.sees("bob: in builds\n")
    await bob.sees("* ada joined")
    ada.types("hello")
    assert "in the lobby" not in await bob.sees("ada: hello\n")
    bob.types("/who lobby", "/who", "/rooms")
    await bob.sees("* here: nobody\n")
    await bob.sees("* here: ada, bob (you)\n")
    await bob.sees("* builds  2 messages")
    await bob.sees("* lobby  1 message")


async def test_a_room_that_cannot_be_is_said_and_one_stays_where_one_is(house):
    ada = await house.visit_as("ada")
    ada.types("/join Not/A/Room", "/who")
    await ada.sees("that did not work: the room name")
    await ada.sees("* here: ada (you)")


async def test_history_is_what_was_said_before(house):
    ada = await house.visit_as("ada")
    ada.types(*(f"line {number}" for number in range(30)), "/history", "/history 3", "/join quiet", "/history")
    await ada.sees("line 10\n")
    assert "line 9\n" not in await ada.sees("line 29\n")
    assert "line 26" not in await ada.sees("line 29\n")
    await ada.sees("nothing was said in quiet yet")
    bob = house.visit()
    bob.types("bob", "hope")
    await bob.sees("ada: line 20\n")
    await bob.sees("ada: line 29\n")


async def test_a_word_to_one_person_reaches_only_that_person(house):
    ada, bob = await house.visit_as("ada"), await house.visit_as("bob")
    bob.types("/join @ada")
    await bob.sees("* you are in @ada")
    ada.types("/msg bob psst", "/msg @bob again", "aloud")
    await bob.sees("ada: psst\n")
    await bob.sees("ada: again\n")
    bob.types("what?")
    await ada.sees("bob (to you): what?\n")
    assert "psst" not in ada.screen.decode()
    ada.types("/msg nobody hello")
    await ada.sees("there is no account 'nobody'")


async def test_a_direct_message_finds_one_wherever_one_is(house):
    ada, bob = await house.visit_as("ada"), await house.visit_as("bob", "builds")
    ada.types("/msg bob psst", "/msg bob again")
    seen = await bob.sees("again\n")
    assert re.sub(r"^\d\d:\d\d ", "", seen, flags=re.MULTILINE).splitlines() == [
        "ada (to you): psst",
        "* only you can read that; answer with /msg ada …",
        "ada (to you): again",
    ]
    bob.types("/msg ada what?", "aloud")
    await ada.sees("bob (to you): what?\n* only you can read that; answer with /msg bob …\n")
    ada.types("/quit")
    rest = await ada.parts()
    assert "aloud" not in rest
    assert "psst" not in rest


async def test_in_the_room_of_the_two_a_direct_message_is_shown_once(house):
    ada, bob = await house.visit_as("ada"), await house.visit_as("bob", "@ada+bob")
    ada.types("/msg bob one")
    assert "(to you)" not in await bob.sees("ada: one\n")
    bob.types("/join lobby")
    await bob.sees("* here: ada, bob (you)\n")
    ada.types("/msg bob two", "/msg bob three", "/join @bob", "four", "/quit")
    seen = await bob.sees("ada (to you): four\n")
    assert [seen.count(text) for text in ("one", "two", "three", "four")] == [0, 1, 1, 1]


async def test_a_room_that_could_not_be_entered_does_not_hide_what_comes_from_there(house):
    ada, bob = await house.visit_as("ada"), await house.visit_as("bob")
    bob.types("/join @ada+eve", "/join @nobody")
    await bob.sees("for the two who write them")
    await bob.sees("no account 'nobody'")
    ada.types("/msg bob psst")
    await bob.sees("ada (to you): psst\n")


async def test_guests_are_written_to_in_rooms_only(houses):
    async with houses(guests=True) as house:
        guest = house.visit()
        guest.types("guest", "hello")
        ada = await house.visit_as("ada")
        await ada.sees(": hello\n")
        ada.types("welcome")
        assert "that did not work" not in await guest.sees("ada: welcome\n")


async def test_what_was_shown_is_read(house):
    peer = house.peer("ada")
    for number in range(3):
        await house.peer("bob").call("chat.post", room="lobby", text="hi", id=f"{number}")
    assert await unread(peer) == {"lobby": 3}
    ada = await house.visit_as("ada")
    await reads(peer, {"lobby": 0})
    await house.peer("bob").call("chat.post", room="lobby", text="more", id="more")
    await ada.sees("bob: more\n")
    assert await unread(peer) == {"lobby": 1}
    ada.types("/join builds")
    await reads(peer, {"lobby": 0})
    await house.peer("bob").call("chat.post", room="builds", text="green", id="green")
    await ada.sees("bob: green\n")
    ada.stream.abort()
    await reads(peer, {"builds": 0, "lobby": 0})


async def test_a_direct_message_that_was_shown_is_read_unless_others_were_missed(house):
    await house.peer("ada").call("chat.post", room="@bob", text="missed", id="1")
    bob, eve = await house.visit_as("bob"), house.peer("eve")
    await bob.sees("* 1 unread from ada; /join @ada\n")
    await eve.call("chat.post", room="@bob", text="seen", id="1")
    await bob.sees("eve (to you): seen\n")
    await house.peer("ada").call("chat.post", room="@bob", text="seen", id="2")
    await bob.sees("ada (to you): seen\n")
    await reads(house.peer("bob"), {"@ada": 2, "@eve": 0})


async def unread(peer):
    return {room["name"]: room["unread"] for room in (await peer.call("chat.rooms"))["rooms"]}


async def reads(peer, wanted):
    """Wait until that is what is unread."""
    async with asyncio.timeout(5):
        while await unread(peer) != wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_json_is_answered_as_such(house):
    ada = await house.visit_as("ada")
    ada.types('{"jsonrpc":"2.0","id":1,"method":"echo.upper","params":{"text":"x"}}', "{no json", "after")
    await ada.sees('{"jsonrpc":"2.0","result":"X","id":1}\n')
    await ada.sees('"code":-32700')
    peer = house.peer("bob")
    said = await peer.call("chat.history", room="lobby")
    assert [message["text"] for message in said["messages"]] == ["after"]


async def test_a_text_that_begins_like_something_else_can_be_said(house):
    ada, bob = await house.visit_as("ada"), await house.visit_as("bob")
    ada.types("/say {curly}", "/say /slash")
    await bob.sees("ada: {curly}\n")
    await bob.sees("ada: /slash\n")


async def test_who_may_not_chat_may_still_call(house):
    eve = house.visit()
    eve.types("eve", "apple")
    await eve.sees("you may not chat here")
    eve.types("hello", '{"jsonrpc":"2.0","id":1,"method":"echo.upper","params":{"text":"x"}}')
    await eve.sees("you are in no room")
    await eve.sees('"result":"X"')


async def test_http_is_refused_later_too(house):
    ada = await house.visit_as("ada")
    ada.types("we speak HTTP/1.1 here", "GET / HTTP/1.1", "not said")
    assert "not HTTP" in await ada.parts()
    said = await house.peer("bob").call("chat.history", room="lobby")
    assert [message["text"] for message in said["messages"]] == ["we speak HTTP/1.1 here"]


async def test_what_others_say_does_nothing_to_a_terminal(house):
    ada = await house.visit_as("ada")
    hostile = "a\x1b]52;c;x\x07b\x9b2J\u202ec\r\nd"
    bob = house.peer("bob")
    await bob.call("chat.topic", room="odd", text="\x1b[2J")
    await bob.call("chat.post", room="lobby", text=hostile, id="1")
    await bob.call("chat.post", room="odd", text=hostile, id="2")
    seen = await ada.sees("      | d\n")
    ada.types("/join odd", "/history", "/rooms", "/who \x1b[31m")
    seen += await ada.sees("* odd  1 message")
    await ada.sees("\n")
    assert not set(seen) & set("\x1b\x07\x9b\u202e\r")


async def test_odd_lines_are_handled_and_the_next_one_is_said(house):
    ada, bob = await house.visit_as("ada"), await house.visit_as("bob")
    await ada.sees("* bob joined")
    ada.types(b"\n  \r\n\x1b[A\x03\n", b"caf\xe9\n", b"caf\xe8\n", b"x" * 70_000 + b"\n", b"\xff\xfb\x1fhe\x7fello\r\n")
    await bob.sees("ada: caf\ufffd\n")
    await bob.sees("ada: caf\ufffd\n")
    assert await bob.sees("ada: hello\n") in (f"{clock} ada: hello\n" for clock in times())
    assert (await ada.sees("left out")).count("not all UTF-8") == 1


async def test_a_line_may_be_as_long_as_the_limit(house):
    ada, bob = await house.visit_as("ada"), await house.visit_as("bob")
    ada.types("x" * (64 * 1024))
    await bob.sees("x" * (64 * 1024) + "\n")


async def test_what_was_typed_before_the_end_is_done_also_a_line_without_its_end(house):
    ada = house.visit()
    typed = b"ada\nlovelace\none\ntwo\nthree"
    ada.types(typed)
    visitor = next(iter(house.door._visits.values()))
    async with asyncio.timeout(5):
        while visitor.stream.bytes_in < len(typed):  # noqa: ASYNC110
            await asyncio.sleep(0)
    visitor.finished()
    await ada.parts()
    said = await house.peer("bob").call("chat.history", room="lobby")
    assert [message["text"] for message in said["messages"]] == ["one", "two", "three"]


async def test_a_visitor_who_vanishes_has_left_the_room(house):
    ada, bob = await house.visit_as("ada"), await house.visit_as("bob")
    ada.stream.abort()
    await bob.sees("* ada left\n")


async def test_one_who_does_not_read_is_not_read_from_and_misses_nothing(houses):
    async with houses(limits=Limits(send_buffer=4096, event_queue=64 * 1024, topic_tail=64 * 1024)) as house:
        ada = await house.visit_as("ada")
        visitor = next(iter(house.door._visits.values()))
        bob = house.peer("bob")
        ada.stream.pause_reading()
        for number in range(3000):
            await bob.call("chat.post", room="lobby", text=f"{number} {'x' * 100}", id=str(number))
        assert visitor.stream.buffered() < 8192
        ada.types(*["/help"] * 1000, *[f"hello {'y' * 1000}"] * 300)
        for _ in range(100):
            await asyncio.sleep(0)
        assert not visitor._reading
        assert visitor._reader.held <= 2 * house.limits.line
        ada.stream.resume_reading()
        seen = await ada.sees(f"bob: 2999 {'x' * 100}\n", seconds=30)
        assert [int(number) for number in re.findall(r"bob: (\d+) x", seen)] == list(range(3000))


async def test_telnet_commands_alone_cannot_fill_the_memory(houses):
    async with houses(limits=Limits(send_buffer=4096)) as house:
        ada = await house.visit_as("ada")
        visitor = next(iter(house.door._visits.values()))
        ada.stream.pause_reading()
        for _ in range(200):
            ada.types(b"\xff\xfd\x1f" * 1000)
            await asyncio.sleep(0)
        assert visitor.stream.buffered() < 16_384
        assert not visitor._reading


async def test_whose_access_is_revoked_is_told_and_cut(house):
    ada = await house.visit_as("ada")
    house.links.cut("ada", reason="access was revoked")
    assert "* access was revoked" in await ada.parts()
    await house.empty()


async def test_when_the_server_closes_everybody_is_told(house):
    ada, stranger = await house.visit_as("ada"), house.visit()
    await stranger.sees("name: ")
    await house.links.drain("the server is closing", 1)
    await house.door.close()
    assert "* the server is closing" in await ada.parts()
    assert "* the server is closing" in await stranger.parts()


async def test_a_fault_of_ours_ends_one_conversation_and_is_logged(house, caplog, monkeypatch):
    ada, bob = await house.visit_as("ada"), await house.visit_as("bob")

    async def broken(talk, rest):
        raise ZeroDivisionError

    monkeypatch.setitem(WORDS, "break", SlashCommand("break", "", "", broken))
    ada.types("/break")
    assert "something went wrong here" in await ada.parts()
    assert "ZeroDivisionError" in caplog.text
    await bob.sees("* ada left")


@given(st.lists(st.binary(max_size=200), max_size=20))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_typed_nothing_breaks(houses, pieces):
    async def story():
        async with houses(guests=True) as house:
            person = house.visit()
            person.types(b"guest\n", *pieces, b"\n/quit\n")
            person.stream.close()
            await house.empty()

    asyncio.run(story())
