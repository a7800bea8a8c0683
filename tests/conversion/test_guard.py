"""Nobody reaches through us what only we can reach."""

import ipaddress
import socket
import threading
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knossosd.conversion.guard import NAT64, Guard, is_global
from knossosd.conversion.http import WebClient
from knossosd.faults import Code, InputFault, RemoteFault
from knossosd.settings import Settings

LOCAL = [
    "0.0.0.0",  # noqa: S104
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.8.8.8",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:0:101:101::fefe:fefe",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:c0a8:101::",
    "2002:101:101::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]


@pytest.mark.parametrize("address", LOCAL)
def test_addresses_that_are_not_everybodys_are_refused(address: str) -> None:
    assert not is_global(ipaddress.ip_address(address.partition("%")[0]))
    with pytest.raises(InputFault) as caught:
        Guard(resolve=lambda _host, _port: [address]).connect("host.example", 80, 1)
    assert caught.value.finding.code is Code.ADDRESS_REFUSED


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700::1111", "64:ff9b::101:101"])
def test_addresses_that_everybody_can_reach_are_global(address: str) -> None:
    assert is_global(ipaddress.ip_address(address))


def test_one_bad_address_among_good_ones_is_enough() -> None:
    guard = Guard(resolve=lambda _host, _port: ["1.1.1.1", "127.0.0.1"])
    with pytest.raises(InputFault):
        guard.connect("host.example", 80, 1)


SPELLINGS = ["127.1", "2130706433", "0x7f.1", "0x7f000001", "0177.0.0.1", "017700000001", "0", "localhost", "::1"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_other_spellings_of_this_machine_are_refused(spelling: str) -> None:
    with pytest.raises(InputFault) as caught:
        Guard().connect(spelling, 80, 1)
    assert caught.value.finding.code is Code.ADDRESS_REFUSED


@given(st.ip_addresses(v=4), st.sampled_from(["::ffff:{}", "64:ff9b::{}"]))
def test_an_address_is_as_good_as_the_one_that_is_written_inside_it(inner: ipaddress.IPv4Address, form: str) -> None:
    assert is_global(ipaddress.ip_address(form.format(inner))) == is_global(inner)


@given(st.ip_addresses(v=6).filter(lambda address: not address.ipv4_mapped and address not in NAT64))
def test_no_address_is_global_that_is_not_for_hosts_of_the_internet(address: ipaddress.IPv6Address) -> None:
    if is_global(address):
        assert address in ipaddress.ip_network("2000::/3")
        assert (address.sixtofour, address.teredo) == (None, None)


@pytest.mark.parametrize("port", [22, 25, 6379, 8081])
def test_ports_that_are_not_the_webs_are_refused(port: int) -> None:
    guard = Guard(resolve=lambda _host, _port: ["1.1.1.1"])
    with pytest.raises(InputFault) as caught:
        guard.connect("host.example", port, 1)
    assert "ALLOWED_PORTS" in caught.value.finding.hint


def test_a_port_may_be_allowed_by_a_setting(listener: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knossosd.conversion.guard.is_global", lambda _: True)  # none can be reached from a test
    settings = Settings(ALLOWED_PORTS=(listener,))
    for client in (WebClient.for_downloads(settings), WebClient.for_webhooks(settings)):
        client.guard.connect("127.0.0.1", listener, 1).close()
        with pytest.raises(InputFault):
            client.guard.connect("127.0.0.1", 80, 1)


@pytest.fixture
def listener() -> Iterator[int]:
    """The port of a server that takes connections on 127.0.0.1."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize("trusted", ["127.0.0.1", "127.0.0.0/8", "Home.Example", "home.example."])
def test_trusted_names_addresses_and_networks_are_let_through(trusted: str, listener: int) -> None:
    guard = Guard([trusted], resolve=lambda _host, _port: ["127.0.0.1"])
    guard.connect("home.example", listener, 1).close()


def test_a_trusted_name_does_not_vouch_for_others(listener: int) -> None:
    guard = Guard(["home.example"], resolve=lambda _host, _port: ["127.0.0.1"])
    with pytest.raises(InputFault):
        guard.connect("evil.home.example", listener, 1)


def test_the_answer_that_was_checked_is_the_one_that_is_used(listener: int) -> None:
    """Were the name looked up again to connect, the first connection would go to 10.0.0.1."""
    answers = iter([["127.0.0.1"], ["10.0.0.1"]])
    guard = Guard(["127.0.0.1"], resolve=lambda _host, _port: next(answers))
    guard.connect("rebinding.example", listener, 1).close()
    with pytest.raises(InputFault):
        guard.connect("rebinding.example", listener, 1)


def test_the_next_address_is_tried_when_one_does_not_answer(listener: int) -> None:
    guard = Guard(["127.0.0.0/8"], resolve=lambda _host, _port: ["127.0.0.2", "127.0.0.1"])
    guard.connect("host.example", listener, 1).close()


def test_a_host_that_is_down_is_a_remote_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(RemoteFault) as caught:
        Guard(["127.0.0.1"]).connect("127.0.0.1", port, 1)
    assert "no connection" in str(caught.value)


def test_threads_may_share_a_guard(listener: int) -> None:
    guard = Guard(["127.0.0.1"])
    errors: list[Exception] = []

    def connect() -> None:
        try:
            guard.connect("127.0.0.1", listener, 2).close()
        except RemoteFault as error:
            errors.append(error)

    threads = [threading.Thread(target=connect) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
