"""Whom a request comes from, and how many seats that one has."""

import logging

import pytest

from knossosd.web.clients import Proxies, Seats, household

PROXIES = ("10.0.0.0/8", "::1")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.5", None, "203.0.113.5"),
        ("203.0.113.5", "198.51.100.1", "203.0.113.5"),  # it is no proxy of ours
        ("10.0.0.1", None, "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),  # the client itself wrote the first one
        ("10.0.0.1", "198.51.100.1, 10.7.7.7", "198.51.100.1"),  # two proxies, one after the other
        ("10.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1"),  # a client in our own network
        ("10.0.0.1", "198.51.100.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.1, nonsense, 10.3.3.3", "10.3.3.3"),
        ("10.0.0.1", "nonsense<script>", "10.0.0.1"),
        ("::1", "2001:db8::5", "2001:db8::5"),
        ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "::ffff:198.51.100.1", "198.51.100.1"),
    ],
)
def test_only_proxies_of_ours_are_believed(peer: str, forwarded: str | None, client: str) -> None:
    environ = {"REMOTE_ADDR": peer} | ({} if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded})
    assert Proxies(PROXIES).client(environ) == client


def test_nobody_is_believed_unless_the_operator_says_so() -> None:
    assert Proxies(()).client({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "1.1.1.1"}) == "127.0.0.1"
    assert not Proxies(()).have("127.0.0.1")


def test_a_forgotten_proxy_is_told_once_and_a_liar_never(caplog: pytest.LogCaptureFixture) -> None:
    proxies = Proxies(())
    with caplog.at_level(logging.WARNING):
        for peer in ("8.8.8.8", "127.0.0.1", "127.0.0.1"):
            proxies.client({"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": "1.1.1.1"})
    [line] = caplog.messages
    assert "127.0.0.1, which is not in TRUSTED_PROXIES" in line


@pytest.mark.parametrize(
    ("one", "other"),
    [("2001:db8::1", "2001:db8::ffff:1"), ("::ffff:192.0.2.1", "192.0.2.1"), ("192.0.2.1", "192.0.2.1")],
)
def test_addresses_of_one_household(one: str, other: str) -> None:
    assert household(one) == household(other)


@pytest.mark.parametrize(("one", "other"), [("2001:db8::1", "2001:db8:0:1::1"), ("192.0.2.1", "192.0.2.2")])
def test_addresses_of_two_households(one: str, other: str) -> None:
    assert household(one) != household(other)


def test_seats_are_taken_and_given_back() -> None:
    seats = Seats(2)
    with seats.taken_by("2001:db8::1") as first, seats.taken_by("2001:db8::2") as second:
        assert (first, second) == (True, True)
        with seats.taken_by("2001:db8::3") as third, seats.taken_by("192.0.2.1") as stranger:
            assert (third, stranger) == (False, True)
        with seats.taken_by("2001:db8::4") as fourth:
            assert not fourth, "who got none gives none back"
    with pytest.raises(ValueError, match="oh"), seats.taken_by("2001:db8::1"):
        raise ValueError("oh")
    with seats.taken_by("2001:db8::1") as first, seats.taken_by("2001:db8::2") as second:
        assert (first, second) == (True, True)
