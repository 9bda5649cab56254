"""Tickets as text."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tieline.errors import LoginFailed
from tieline.login.credential import Credential
from tieline.login.tickets import id_of, new_secret, ticket_url
from tieline.transports.address import parse


def test_a_ticket_comes_back_from_its_text() -> None:
    id, secret = new_secret(secrets.token_bytes)
    address = parse(ticket_url("[2001:db8::1]:7788", "zoë", "ab" * 32, secret))
    assert (address.host, address.account, address.pin) == ("2001:db8::1", "zoë", "ab" * 32)
    assert (address.secret, id_of(address.secret)) == (secret, id)


def test_a_ticket_without_a_pin_is_for_servers_with_a_public_certificate() -> None:
    assert parse(ticket_url("lab.example:443", "ada", "", "id-secret")).pin == ""


def test_no_two_tickets_are_alike_and_each_can_be_pasted_anywhere() -> None:
    made = {new_secret(secrets.token_bytes)[1] for _ in range(100)}
    assert len(made) == 100
    assert all(secret.replace("-", "").isalnum() and secret.isascii() for secret in made)


@pytest.mark.parametrize("secret", ["", "-", "id-", "-secret", "nodash", "a b-c", "ä-x", "a/b-c", "x-a\n"])
def test_a_torn_ticket_is_refused_with_a_hint(secret: str) -> None:
    with pytest.raises(LoginFailed, match="copied whole"):
        Credential.ticket(secret)


@given(st.text(max_size=60))
def test_any_text_is_a_ticket_or_refused(text: str) -> None:
    try:
        assert text.startswith(id_of(text) + "-")
    except LoginFailed:
        pass
