"""Outgoing requests end in time, and leave no connection open."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace

import pytest
from urllib3.exceptions import HTTPError

from knossosd.conversion.errand import Errand
from knossosd.conversion.guard import Guard
from knossosd.conversion.http import WebClient, host_of
from knossosd.conversion.observer import Cancelled
from knossosd.faults import Code, InputFault, RemoteFault
from knossosd.settings import Settings
from tests import hosts
from tests.hosts import Host, Request

pytestmark = pytest.mark.timeout(30)

AGES = 600.0


@pytest.fixture
def client() -> WebClient:
    return WebClient(Guard(["127.0.0.1"]), connect_timeout=AGES, idle_timeout=AGES, max_redirects=3)


@pytest.fixture
def quick() -> WebClient:
    """The client for webhooks, with a short time limit."""
    return WebClient.for_webhooks(Settings(TRUSTED_HOSTS=("127.0.0.1",), WEBHOOK_TIMEOUT=1))


def drips(say: bytes) -> hosts.Behaviour:
    def behave(request: Request) -> None:
        request.wfile.write(say)
        while True:
            request.wfile.write(b"x")
            time.sleep(0.02)

    return behave


@pytest.mark.parametrize("say", [b"", b"HTTP/1.1 200 OK\r\nX-Header: "])
def test_the_time_for_a_webhook_is_limited_however_it_drips(say: bytes, host: Host, quick: WebClient) -> None:
    with pytest.raises(RemoteFault) as caught, quick.request("POST", host.link("/hook", drips(say)), body=b"x"):
        pytest.fail("there is no answer")
    assert caught.value.finding.code is Code.DOWNLOAD_TOO_SLOW


def test_the_time_until_the_headers_are_complete_is_limited_at_every_hop(host: Host, client: WebClient) -> None:
    host.link("/b", drips(b"HTTP/1.1 200 OK\r\nX-Header: "))
    hasty = replace(client, idle_timeout=0.5)
    with pytest.raises(RemoteFault) as caught, hasty.get(host.link("/a", hosts.says(302, Location="/b"))):
        pytest.fail("there is no answer")
    assert caught.value.finding.code is Code.DOWNLOAD_TOO_SLOW


def test_the_body_may_take_longer_than_the_headers(host: Host, client: WebClient) -> None:
    def behave(request: Request) -> None:
        request.answer(200, Content_Length=10)
        for _ in range(10):
            request.server.stopping.wait(0.1)
            request.wfile.write(b"x")

    with replace(client, idle_timeout=0.5).request("GET", host.link("/a", behave)) as response:
        assert response.read() == b"x" * 10


def test_an_answer_to_a_webhook_that_has_no_end_is_cut_off_and_still_counts(host: Host, quick: WebClient) -> None:
    def read_all(read: Callable[[int], bytes]) -> None:
        try:
            while read(1000):
                pass
        except HTTPError:
            pass

    drip = drips(b"HTTP/1.1 200 OK\r\n\r\n")
    with quick.request("POST", host.link("/hook", drip), body=b"x") as response:
        read_all(response.read1)
        assert response.status == 200


def test_a_body_that_breaks_off_is_a_fault_of_the_host(host: Host, client: WebClient) -> None:
    link = host.link("/a", hosts.says(200, b"short", Content_Length=100))
    with pytest.raises(RemoteFault) as caught, client.request("GET", link) as response:
        response.read()
    assert caught.value.finding.code is Code.DOWNLOAD_FAILED


def test_no_request_is_made_for_an_errand_that_was_called_off(host: Host, client: WebClient) -> None:
    errand = Errand()
    errand.call_off()
    with pytest.raises(Cancelled), client.on(errand).request("GET", host.link("/a", hosts.says(200))):
        pytest.fail("it was made")
    assert host.requests == []


def test_a_connection_ends_with_its_request(host: Host, client: WebClient) -> None:
    ended = threading.Event()

    def behave(request: Request) -> None:
        request.answer(200, b"x" * 100, Content_Length=1000)
        request.connection.recv(1)
        ended.set()

    with client.request("GET", host.link("/a", behave)) as response:
        assert response.read1(100) == b"x" * 100
        assert not ended.is_set()
    assert ended.wait(AGES)


@pytest.mark.parametrize(
    ("link", "host"),
    [
        ("http://Files.Example/a.7z", "files.example"),
        ("https://files.example./b.7z", "files.example"),
        ("http://files.example:80/", "files.example"),
        ("https://FILES.example.:443/", "files.example"),
        ("https://files.example:80/", "files.example:80"),
        ("https://m\u00fcnchen.example/", "xn--mnchen-3ya.example"),
        ("http://[2001:DB8::1]:8080/", "[2001:db8::1]:8080"),
    ],
)
def test_a_host_is_the_same_however_it_is_spelled(link: str, host: str) -> None:
    assert host_of(link) == host


@pytest.mark.parametrize(
    "link", ["http://files example/", "http://[files]/", "http://files.example:0/", "ftp://files/"]
)
def test_a_link_to_no_host_is_refused(link: str, client: WebClient) -> None:
    for ask in (host_of, lambda link: client.request("GET", link).__enter__()):
        with pytest.raises(InputFault) as caught:
            ask(link)
        assert caught.value.finding.code is Code.ADDRESS_REFUSED
