import asyncio

import pytest

from tieline.limits import Limits
from tieline.testing.transports import CHECKS, Recorder
from tieline.transports import memory
from tieline.transports.endpoint import Endpoint


async def joined(near, far):
    return memory.pair(near, far)


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_it_does_what_every_transport_must(check):
    await check(joined)


async def test_bytes_arrive_in_the_loops_next_turn_never_within_write():
    near, far = Recorder(), Recorder()
    a, _ = memory.pair(near, far)
    a.write(b"hello")
    assert far.data == b""
    await settle()
    assert far.data == b"hello"


async def test_nothing_written_is_nothing_received():
    near, far = Recorder(), Recorder()
    a, b = memory.pair(near, far)
    a.write(b"")
    await settle()
    assert b.bytes_in == 0


async def test_the_far_end_may_be_told_who_is_near():
    a, b = memory.pair(Recorder(), Recorder(), near_info=Endpoint(kind="memory", local="", remote="ada"))
    assert b.info.remote == "ada"
    assert a.info.kind == "memory"


async def test_a_writer_is_held_back_at_its_own_mark_and_let_go_below_a_quarter():
    near, far = Recorder(), Recorder()
    a, b = memory.pair(near, far, limits=Limits(send_buffer=1000))
    b.pause_reading()
    a.write(b"x" * 1000)
    assert not a.paused
    a.write(b"x")
    assert a.paused
    assert a.buffered() == 1001
    b.resume_reading()
    await settle()
    assert (a.paused, near.paused, a.buffered()) == (False, False, 0)


async def test_reading_can_be_paused_from_within_received():
    class Sipping(Recorder):
        def received(self, data):
            super().received(data)
            sips.append(bytes(data))
            b.pause_reading()

    sips = []
    a, b = memory.pair(Recorder(), Sipping())
    for text in (b"one", b"two", b"three"):
        a.write(text)
    await settle()
    assert sips == [b"one"]
    b.resume_reading()
    await settle()
    assert sips == [b"one", b"two"]


async def test_the_view_is_good_during_the_call_only():
    class Keeping(Recorder):
        def received(self, data):
            super().received(data)
            self.kept = data

    far = Keeping()
    a, _ = memory.pair(Recorder(), far)
    a.write(b"hello")
    await settle()
    with pytest.raises(ValueError, match="released"):
        bytes(far.kept)


async def test_a_receiver_that_fails_ends_both_and_is_complained_of():
    class Failing(Recorder):
        def received(self, data):
            raise ZeroDivisionError

    complaints = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context["exception"]))
    near, far = Recorder(), Failing()
    a, _ = memory.pair(near, far)
    a.write(b"hello")
    a.write(b"again")
    await settle()
    assert [type(error) for error in complaints] == [ZeroDivisionError]
    assert [type(error) for error in far.ends] == [ZeroDivisionError]
    assert near.ends == [None]


async def test_who_writes_to_one_that_has_gone_keeps_nothing():
    near, far = Recorder(), Recorder()
    a, b = memory.pair(near, far)
    b.close()
    a.write(b"x" * 1_000_000)
    assert a.buffered() == 0
    await settle()
    assert near.ends == far.ends == [None]


async def test_nothing_is_heard_after_the_end():
    near, far = Recorder(), Recorder()
    a, b = memory.pair(near, far, limits=Limits(send_buffer=10))
    b.pause_reading()
    a.write(b"x" * 100)
    assert near.paused
    a.close()
    await settle()
    b.resume_reading()
    await settle()
    assert near.paused  # it was not told to go on: there is nothing to go on with
    assert far.data == b"x" * 100
    assert near.ends == far.ends == [None]
