"""Telling sites that a conversion has ended."""

import hashlib
import hmac

import pytest

from knossosd.conversion.busy import Busy
from knossosd.conversion.guard import Guard
from knossosd.conversion.http import WebClient
from knossosd.faults import Code, InputFault, RemoteFault
from knossosd.tickets.outbox import LONGEST_PAUSE, Delivery, DeliveryState
from knossosd.tickets.webhooks import Answer, deliver
from tests import hosts
from tests.hosts import Host


def a_delivery(url: str) -> Delivery:
    return Delivery("an-id", 42, url, "token", 0.0, DeliveryState.WAITING, 1, ())


def client(*trusted: str) -> WebClient:
    return WebClient(Guard(trusted), connect_timeout=1, idle_timeout=0.3, max_redirects=0, time_limit=1)


def test_the_body_is_the_old_one_and_the_rest_stands_in_headers(host: Host) -> None:
    url = host.link("/hook", hosts.says(200, b"thanks"))
    assert deliver(client("127.0.0.1"), a_delivery(url), now=lambda: 1700000000.9) is Answer.NOTED
    [request] = host.requests
    assert (request.command, request.body) == ("POST", b"ticket=42")
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["X-Knossos-Timestamp"] == "1700000000"
    expected = hmac.new(b"token", b"1700000000.ticket=42", hashlib.sha256).hexdigest()
    assert request.headers["X-Knossos-Signature"] == expected


def test_a_delivery_keeps_its_id(host: Host) -> None:
    url = host.link("/hook", hosts.says(200))
    for now in (1.0, 2.0):
        deliver(client("127.0.0.1"), a_delivery(url), now=lambda now=now: now)
    assert {request.headers["X-Knossos-Delivery"] for request in host.requests} == {"an-id"}
    assert len({request.headers["X-Knossos-Signature"] for request in host.requests}) == 2


@pytest.mark.parametrize(
    ("body", "answer"),
    [
        (b'{"cancelled": true}', Answer.CANCELLED),
        (b'{"cancelled": false}', Answer.NOTED),
        (b'{"cancelled": "yes"}', Answer.NOTED),
        (b"[]", Answer.NOTED),
        (b"\xff", Answer.NOTED),
        (b"[" * 60_000, Answer.NOTED),
        (b"", Answer.NOTED),
    ],
)
def test_only_a_clear_answer_cancels(host: Host, body: bytes, answer: Answer) -> None:
    assert deliver(client("127.0.0.1"), a_delivery(host.link("/hook", hosts.says(200, body)))) is answer


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_site_that_does_not_take_it_is_asked_again(host: Host, status: int) -> None:
    url = host.link("/hook", hosts.says(status, Location="http://127.0.0.1/elsewhere"))
    with pytest.raises(RemoteFault) as caught:
        deliver(client("127.0.0.1"), a_delivery(url))
    assert caught.value.finding.code is Code.WEBHOOK_FAILED
    assert len(host.requests) == 1


def test_a_site_that_is_gone_for_ever_is_not_asked_again(host: Host) -> None:
    with pytest.raises(InputFault) as caught:
        deliver(client("127.0.0.1"), a_delivery(host.link("/hook", hosts.says(410))))
    assert str(caught.value) == "The webhook answered with status 410."


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("said", "after"), [("600", 600), ("99999999", LONGEST_PAUSE), ("soon", 0), (None, 0)])
def test_a_busy_site_says_when_to_come_again(host: Host, status: int, said: str | None, after: float) -> None:
    with pytest.raises(Busy) as caught:
        deliver(client("127.0.0.1"), a_delivery(host.link("/hook", hosts.says(status, Retry_After=said))))
    assert caught.value.after == after


def test_a_silent_site_is_not_waited_for(host: Host) -> None:
    with pytest.raises(RemoteFault) as caught:
        deliver(client("127.0.0.1"), a_delivery(host.link("/hook", hosts.stays_silent)))
    assert "download" not in str(caught.value)


@pytest.mark.parametrize("behaviour", [hosts.drips, hosts.drops(b"{}", 1), hosts.never_ends])
def test_a_site_that_takes_it_and_rambles_on_has_taken_it(host: Host, behaviour: hosts.Behaviour) -> None:
    assert deliver(client("127.0.0.1"), a_delivery(host.link("/hook", behaviour))) is Answer.NOTED


@pytest.mark.parametrize("url", ["http://localhost/", "http://127.0.0.1/", "http://127.8.8.8/", "http://[::1]/"])
def test_sites_of_this_machine_are_refused(url: str) -> None:
    with pytest.raises(InputFault):
        deliver(client(), a_delivery(url))
