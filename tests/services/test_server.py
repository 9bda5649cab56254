"""What the server says about itself."""

import asyncio

import pytest

from tieline.services import server
from tieline.version import __version__


@pytest.fixture
def told(house):
    """The house with server.* in it."""
    server.install(house.handlers, house.links, "house", lambda: house.now)
    return house


async def test_the_methods_are_an_openrpc_document(told):
    described = await told.login("ada").call("server.methods")
    assert described["info"] == {"title": "house", "version": __version__}
    names = {method["name"] for method in described["methods"]}
    assert {"echo.upper", "chat.post", "server.methods", "topics.subscribe"} <= names
    (post,) = (method for method in described["methods"] if method["name"] == "chat.post")
    assert post["x-scope"] == "chat"
    assert {parameter["name"] for parameter in post["params"]} == {"room", "text", "id"}


async def test_a_method_added_later_is_in_it(told):
    ada = told.login("ada")
    await ada.call("server.methods")
    told.handlers.add(lambda: None, "late")
    described = await ada.call("server.methods")
    assert "late" in {method["name"] for method in described["methods"]}


async def test_or_a_line_for_each(told):
    listed = {entry["name"]: entry for entry in await told.login("ada").call("server.methods", compact=True)}
    assert listed["echo.upper"]["signature"] == "(text: str) -> str"
    assert listed["echo.count"]["signature"] == "(to: int) -> stream of int"


async def test_the_status_is_of_all_links_for_an_admin_and_of_ones_own_for_others(told):
    ada, bob, admin = told.login("ada"), told.login("bob"), told.login("root", "admin")
    told.now += 5
    whole = await admin.call("server.status")
    assert (whole["name"], whole["version"], whole["uptime"]) == ("house", __version__, 5)
    assert [link["account"] for link in whole["links"]] == ["ada", "bob", "root"]
    (own,) = (await bob.call("server.status"))["links"]
    assert own["account"] == "bob"
    assert ada.is_open


async def test_a_link_tells_what_it_carries(told):
    ada, admin = told.login("ada"), told.login("root", "admin")
    await ada.call("echo.upper", text="x" * 1000)
    lobby = ada.subscribe("room/lobby")
    await lobby.open()
    started = asyncio.Event()

    @told.handlers.method("wait")
    async def wait() -> None:
        started.set()
        await asyncio.sleep(60)

    waiting = asyncio.create_task(ada.call("wait"))
    await started.wait()
    link = (await admin.call("server.status"))["links"][0]
    assert link["device"] == "laptop"
    assert (link["state"], link["transport"], link["rtt"], link["queue"]) == ("open", "memory", None, 0)
    assert (link["calls"], link["topics"]) == (1, 1)
    assert link["bytes_in"] > 1000
    assert link["bytes_out"] > 1000
    assert link["age"] >= 0
    waiting.cancel()
    await lobby.aclose()


async def test_who_is_here_by_account(told):
    told.login("bob", device="phone")
    told.login("bob", device="laptop")
    assert await told.login("ada").call("server.who") == {"accounts": ["ada", "bob"]}
