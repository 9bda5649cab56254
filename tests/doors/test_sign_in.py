"""Name and password, asked of a person."""

import asyncio

import pytest

from tieline.errors import TooManyAttempts
from tieline.limits import Limits
from tieline.transports.endpoint import MEMORY, Endpoint

FAR = Endpoint("tcp", "10.0.0.1:7788", "10.0.0.9:4000", "10.0.0.9")
FAR_TLS = Endpoint("tls", "10.0.0.1:7788", "10.0.0.9:4000", "10.0.0.9")


async def test_a_guest_comes_by_a_name_without_a_password(houses):
    async with houses(guests=True) as house:
        person = house.visit()
        await person.sees("name, or guest: ")
        person.types("guest-zoe")
        await person.sees("* here: guest-zoe (you)\n")
        assert house.tried == [("zoe", None, "")]
        other = house.visit()
        other.types("guest")
        await other.sees("* here: guest- (you), guest-zoe\n")


async def test_where_guests_are_welcome_a_name_without_its_password_is_a_guest(houses):
    async with houses(guests=True) as house:
        person = house.visit()
        person.types("ada", "")
        await person.sees("guest-ada (you)\n")
        member = house.visit()
        member.types("ada", "lovelace")
        await member.sees("ada (you)")
        assert house.tried == [("ada", None, ""), ("ada", "lovelace", "")]


async def test_where_there_are_no_guests_nobody_comes_without_a_password(house):
    person = house.visit()
    person.types("guest", "", "ada", "", "", "guest-bob", "")
    said = await person.parts()
    assert "lobby" not in said
    assert said.count("No guests are let in here; ask the owner of this server for an account.") == 1
    assert house.tried == [("guest", "", ""), ("ada", "", ""), ("guest-bob", "", "")]
    assert not person.opening.is_done
    assert len(house.links) == 0


async def test_a_wrong_password_may_be_tried_again_and_says_no_more_than_that(house):
    person = house.visit()
    person.types("ada", "wrong")
    known = await person.sees("name: ") and await person.sees("name: ")
    person.types("nobody", "wrong")
    unknown = await person.sees("name: ")
    assert known.replace("ada", "NAME") == unknown.replace("nobody", "NAME")
    person.types("ada", "lovelace")
    await person.sees("you are in lobby")


async def test_three_wrong_passwords_close(house):
    person = house.visit()
    for _ in range(3):
        person.types("ada", "wrong")
    said = await person.parts()
    assert said.count("login refused") == 3
    assert len(house.tried) == 3


async def test_nothing_more_is_tried_after_the_third(house):
    person = house.visit()
    person.types(*["ada", "wrong"] * 50)
    await person.parts()
    assert len(house.tried) == 3


async def test_who_must_wait_is_told_how_long_and_sent_away(house):
    async def admit(name, password, address):
        raise TooManyAttempts(17)

    house.door._admit = admit
    person = house.visit()
    person.types("ada", "lovelace")
    assert "try again in 17 s" in await person.parts()


async def test_nobody_is_asked_for_a_password_in_plain_text_from_another_machine(house, houses):
    person = house.visit(FAR)
    said = await person.parts()
    assert "openssl s_client" in said
    assert "password of" not in said
    async with houses(guests=True) as open_to_guests:
        guest = open_to_guests.visit(FAR)
        guest.types("ada", "lovelace")
        assert "password" not in await guest.sees("guest-ada (you)")
        assert open_to_guests.tried == [("ada", None, "10.0.0.9")]


async def test_over_tls_a_password_is_asked_for_and_the_address_is_told(house):
    person = house.visit(FAR_TLS)
    person.types("ada", "lovelace")
    await person.sees("you are in lobby")
    assert house.tried == [("ada", "lovelace", "10.0.0.9")]


async def test_names_are_lower_case_and_trimmed_and_passwords_are_as_they_are(house):
    person = house.visit()
    person.types("  Ada ", " lovelace ")
    await person.sees("login refused")
    person.types("Bob/Laptop", "x")
    await person.sees("login refused")
    assert house.tried == [("ada", " lovelace ", ""), ("Bob/Laptop", "x", "")]


async def test_telnet_is_asked_to_hide_the_password_and_nc_is_not(house):
    telnet = house.visit()
    telnet.types(b"\xff\xfd\x03", b"ada\r\n")
    before = await telnet.sees(": ")
    assert "\ufffd" not in before
    await telnet.sees(b"password of ada: \xff\xfb\x01")
    telnet.types(b"lovelace\r\0")
    await telnet.sees(b"\xff\xfc\x01\r\n")
    await telnet.sees("* here: ada (you)\r\n")
    nc = house.visit()
    nc.types("bob", "hope")
    await nc.sees("you are in lobby")
    assert b"\xff" not in nc.screen


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET / HTTP/1.1\r\nHost: here\r\n\r\n",
        b"POST /rpc HTTP/1.1\r\nContent-Type: text/plain\r\n\r\nada\r\nlovelace\r\nhello\r\n",
        b"\r\nGET / HTTP/1.1\r\n",
        b"XYZZY / HTTP/1.0\r\n",
        b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\nada\nlovelace\n",
        b"OPTIONS * HTTP/1.1\n",
        b"GET lost\n",
    ],
)
async def test_what_looks_like_http_is_refused_and_nothing_of_it_is_done(house, request_line):
    person = house.visit()
    person.types(request_line + b"ada\nlovelace\nhello\n")
    said = await person.parts()
    assert "not HTTP" in said
    assert house.tried == []


async def test_http_instead_of_a_password_is_refused_too(house):
    person = house.visit()
    person.types("ada", "GET / HTTP/1.1", "ada", "lovelace")
    assert "not HTTP" in await person.parts()
    assert house.tried == []


async def test_json_and_words_before_the_login_are_not_carried_out(house):
    person = house.visit()
    person.types('{"jsonrpc":"2.0","method":"echo.upper","params":{"text":"x"},"id":1}', "/who")
    await person.sees("Log in first")
    await person.sees("Log in first")
    person.types("ada", "lovelace")
    await person.sees("you are in lobby")


async def test_a_long_line_before_the_login_is_too_much(house):
    person = house.visit()
    person.types("x" * 100_000)
    assert "longer than 8,192 bytes" in await person.parts()
    assert house.tried == []


async def test_the_time_to_log_in_is_counted_from_the_start_and_not_from_the_last_key(houses):
    async with houses(limits=Limits(person_login=0.3)) as house:
        person = house.visit()
        assert person.opening.seconds > 0.3, "the listener would cut before anything is said"

        async def keys():
            while not person.gone:
                person.types(b"a")
                await asyncio.sleep(0.05)

        async with asyncio.timeout(3), asyncio.TaskGroup() as tasks:
            tasks.create_task(keys())
        assert "Nobody logged in within" in person.screen.decode()
        assert not person.opening.is_done


async def test_who_leaves_before_logging_in_leaves_nothing(house):
    for last in ("", "ada\n", "ada\nlovelace\n"):
        person = house.visit()
        person.types(last.encode())
        person.stream.abort()
    await house.empty()


async def test_leaving_while_the_password_is_checked_leaves_nothing(house):
    admit, checking, checked = house.admit, asyncio.Event(), asyncio.Event()

    async def slow(*who):
        checking.set()
        await checked.wait()
        return await admit(*who)

    house.door._admit = slow
    person = house.visit()
    person.types("ada", "lovelace")
    await checking.wait()
    person.stream.abort()
    await asyncio.sleep(0.01)
    checked.set()
    await house.empty()


@pytest.mark.parametrize("before", [[], ["ada"]])
async def test_quit_leaves_before_logging_in(house, before):
    person = house.visit(MEMORY)
    person.types(*before, "/quit")
    assert "Goodbye." in await person.parts()
    assert house.tried == []
