"""The HTTP API, as old clients know it, and what was added."""

import base64
import http.client
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from knossosd.conversion.observer import Level
from knossosd.faults import Code, Finding
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.store import TICKET_LIMIT, Tickets
from tests import checkouts
from tests.checkouts import KEY, Checkout, a_document, wait_until

DOCUMENT = json.dumps(a_document("https://host.example/a.7z"))


def request(web: Checkout, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, response.read().decode(), {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()


def form(web: Checkout, path: str, body: str) -> tuple[int, str]:
    return request(web, "POST", path, body, Content_Type="application/x-www-form-urlencoded")[:2]


def test_a_document_is_taken(web: Checkout, tickets: Tickets) -> None:
    ticket, token = web.submit(a_document("https://host.example/a.7z"), webhook="https://site.example/hook")
    assert 0 <= ticket < TICKET_LIMIT
    assert len(token) == 30
    found = tickets.get(ticket)
    assert found is not None
    assert (found.title, found.webhook) == ("My Mod 1.0.0", "https://site.example/hook")
    assert json.loads(tickets.document(ticket) or "") == a_document("https://host.example/a.7z")
    assert tickets.client.llen("huey.redis.knossosdconvert") == 1


def test_a_document_is_checked_without_queueing_it(web: Checkout, tickets: Tickets) -> None:
    good = web.post("/api/converter/check", passwd=KEY, data=DOCUMENT)
    assert good == {"valid": True, "errors": [], "warnings": []}
    odd = web.post("/api/converter/check", passwd=KEY, data=json.dumps({**json.loads(DOCUMENT), "shiny": 1}))
    assert (odd["valid"], [warning["code"] for warning in odd["warnings"]]) == (True, ["unknown_field"])
    bad = web.post("/api/converter/check", passwd=KEY, data='{"id": "a"}')
    assert bad["valid"] is False
    assert {"path": "packages", "message": "is missing"} in bad["errors"]
    large = json.dumps({**json.loads(DOCUMENT), "description": "x" * 150_000})
    assert web.post("/api/converter/check", passwd=KEY, data=large)["valid"]
    assert form(web, "/api/converter/check", urllib.parse.urlencode({"data": DOCUMENT})) == (403, "Access denied")
    assert tickets.all() == []


@pytest.mark.parametrize("key", ["", "wrong", KEY + "x", "ünï"])
def test_without_a_key_nothing_is_taken(web: Checkout, tickets: Tickets, key: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        web.post("/api/converter/request", passwd=key, data=DOCUMENT)
    assert caught.value.code == 403
    assert caught.value.read() == b"Access denied"
    assert tickets.all() == []


def test_the_key_may_come_as_a_header(web: Checkout, tickets: Tickets) -> None:
    basic = base64.b64encode(f"me:{KEY}".encode()).decode()
    for authorization in (f"Bearer {KEY}", f"Basic {basic}"):
        body = json.dumps({"data": json.loads(DOCUMENT)})
        status, text, _ = request(
            web, "POST", "/api/converter/request", body, Content_Type="application/json", Authorization=authorization
        )
        assert (status, json.loads(text)["ticket"] is None) == (200, False)
    for authorization in ("Bearer x", "Basic !", "Basic " + base64.b64encode(b"\xff").decode(), "Odd"):
        status, _, _ = request(web, "POST", "/api/converter/request", "data=x", Authorization=authorization)
        assert status == 403


def test_a_form_may_come_in_parts(web: Checkout, tickets: Tickets) -> None:
    parts = "".join(
        f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in (("passwd", KEY), ("data", DOCUMENT))
    )
    kind = "multipart/form-data; boundary=b"
    status, text, _ = request(web, "POST", "/api/converter/request", f"{parts}--b--\r\n", Content_Type=kind)
    assert (status, json.loads(text)["ticket"] is None) == (200, False)


def test_a_large_document_in_a_form_is_taken(web: Checkout, tickets: Tickets) -> None:
    document = a_document("https://host.example/a.7z", description='"' * 80_000)
    assert web.submit(document)


def test_what_is_not_json_gets_the_old_answer_with_reasons(web: Checkout, tickets: Tickets) -> None:
    answer = web.post("/api/converter/request", passwd=KEY, data="nonsense")
    assert (answer["ticket"], answer["token"], answer["error"]) == (None, None, True)
    assert "JSON" in answer["message"]
    assert tickets.all() == []


def test_all_problems_of_a_document_are_told(web: Checkout, tickets: Tickets) -> None:
    answer = web.post("/api/converter/request", passwd=KEY, data=json.dumps({"mods": [{"id": "a"}, 5]}))
    assert {"path": "mods[1]", "message": "must be an object"} in answer["errors"]
    assert len(answer["errors"]) == 4


@pytest.mark.parametrize(
    "webhook", ["javascript:x", "http://u:p@host.example/", "text", f"https://host.example/{'x' * 2000}"]
)
def test_a_webhook_must_be_a_link(web: Checkout, tickets: Tickets, webhook: str) -> None:
    answer = web.post("/api/converter/request", passwd=KEY, data=DOCUMENT, webhook=webhook)
    assert answer["ticket"] is None
    assert "webhook" in answer["message"]


def test_a_document_that_is_too_large_is_told(web: Checkout, tickets: Tickets) -> None:
    status, text = form(web, "/api/converter/request", f"passwd={KEY}&data=" + "x" * 250_000)
    assert status == 413
    assert json.loads(text)["ticket"] is None


def test_a_huge_body_is_refused_before_it_is_read(web: Checkout) -> None:
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        head = "POST /api/converter/request HTTP/1.1\r\nHost: x\r\nContent-Length: 50000000000\r\n\r\n"
        connection.sendall(head.encode() + b"x" * 1000)
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in answer


def test_a_body_that_nobody_wants_is_not_the_next_request(web: Checkout) -> None:
    smuggled = b"GET /api/converter/get_status/1 HTTP/1.1\r\nHost: x\r\n\r\n"
    body = smuggled.rjust(3_000_000, b"\n")
    with socket.create_connection(("127.0.0.1", web.port), timeout=10) as connection:
        head = f"POST /static/converter.js HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode())
        answer = b""
        try:
            connection.sendall(body)
            while part := connection.recv(65536):
                answer += part
        except OSError:
            pass  # the server has closed, with our body unread
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert b"no such ticket" not in answer


@pytest.mark.parametrize("body", ["", "passwd", "%", "passwd=%ff%fe&data=%ff", "&" * 1000])
def test_odd_bodies_are_no_server_errors(web: Checkout, body: str) -> None:
    for path in ("/api/converter/request", "/api/converter/retrieve"):
        assert form(web, path, body)[0] in (200, 403)


def submit_with_key(web: Checkout, idempotency_key: str, document: str = DOCUMENT) -> tuple[int, Any]:
    body = json.dumps({"passwd": KEY, "data": document})
    headers = {"Content_Type": "application/json", "Idempotency_Key": idempotency_key}
    status, text, _ = request(web, "POST", "/api/converter/request", body, **headers)
    return status, json.loads(text)


def test_what_is_sent_again_with_its_idempotency_key_is_taken_once(web: Checkout, tickets: Tickets) -> None:
    answers = [submit_with_key(web, "one") for _ in range(3)]
    assert answers[0][0] == 200
    assert answers[1:] == answers[:1] * 2
    assert submit_with_key(web, "two") != answers[0]
    status, answer = submit_with_key(web, "one", json.dumps(a_document("https://host.example/b.7z")))
    assert (status, answer["error"], answer["ticket"]) == (409, True, None)
    assert len(tickets.all()) == 2


def test_the_same_submission_is_the_same_however_it_is_written(web: Checkout, tickets: Tickets) -> None:
    spread = json.dumps(dict(reversed(json.loads(DOCUMENT).items())), indent=4)
    bodies = {
        "application/x-www-form-urlencoded": urllib.parse.urlencode({"passwd": KEY, "data": spread}),
        "application/json": json.dumps({"passwd": KEY, "data": json.loads(DOCUMENT)}),
    }
    for kind, body in bodies.items():
        headers = {"Content_Type": kind, "Idempotency_Key": "one"}
        status, text, _ = request(web, "POST", "/api/converter/request", body, **headers)
        assert (status, json.loads(text)) == submit_with_key(web, "one")
    assert len(tickets.all()) == 1


@pytest.mark.parametrize("idempotency_key", ["", "x" * 256, "ключ".encode().decode("latin-1"), "a\tb"])
def test_an_idempotency_key_that_cannot_be_one_is_told(web: Checkout, tickets: Tickets, idempotency_key: str) -> None:
    status, answer = submit_with_key(web, idempotency_key)
    assert (status, answer["ticket"]) == (400, None)
    assert "Idempotency-Key" in answer["message"]
    assert tickets.all() == []


def test_a_key_that_comes_to_two_web_processes_at_once_makes_one_ticket(
    web: Checkout, valkey: str, tickets: Tickets
) -> None:
    with checkouts.checkout(REDIS=valkey) as other, ThreadPoolExecutor(20) as pool:
        other.start_web()
        answers = list(pool.map(lambda number: submit_with_key((web, other)[number % 2], "one"), range(20)))
    assert answers == [answers[0]] * 20
    assert [ticket.number for ticket in tickets.all()] == [answers[0][1]["ticket"]]


def test_of_many_at_once_as_many_are_taken_as_may_be(valkey: str, tickets: Tickets) -> None:
    with checkouts.checkout(REDIS=valkey, TICKETS_AT_ONCE=5) as copy, ThreadPoolExecutor(30) as pool:
        copy.start_web()
        answers = list(pool.map(lambda number: submit_with_key(copy, f"key {number}"), range(30)))
    assert sorted(status for status, _ in answers) == [200] * 5 + [429] * 25
    assert {ticket.number for ticket in tickets.all()} == {answer["ticket"] for _, answer in answers} - {None}


@pytest.fixture
def strict(valkey: str, tickets: Tickets) -> Iterator[Checkout]:
    """A web process that takes little."""
    with checkouts.checkout(REDIS=valkey, TICKETS_AT_ONCE=1, MAX_QUEUE=2, API_KEYS=(KEY, "b", "c")) as copy:
        copy.start_web()
        yield copy


def test_who_has_had_enough_is_told_when_to_come_again(strict: Checkout, tickets: Tickets) -> None:
    def submit(key: str) -> tuple[int, Any, str | None]:
        body = json.dumps({"passwd": key, "data": DOCUMENT})
        status, text, headers = request(strict, "POST", "/api/converter/request", body, Content_Type="application/json")
        return status, json.loads(text), headers.get("retry-after")

    assert [submit(key)[0] for key in (KEY, "b")] == [200, 200]
    tickets.client.zrem("knossosd:queue", *tickets.client.zrange("knossosd:queue", 0, 0))
    status, answer, after = submit(KEY)
    assert (status, answer["error"], int(after or 0) > 0) == (429, True, True)
    assert submit("c")[0] == 200
    status, answer, after = submit("c")
    assert (status, answer["error"], int(after or 0) > 0) == (503, True, True)
    assert len(tickets.all()) == 3


def test_a_full_disk_takes_no_tickets(valkey: str, tickets: Tickets) -> None:
    with checkouts.checkout(REDIS=valkey, MIN_FREE_DISK=2**60) as copy:
        copy.start_web()
        with pytest.raises(urllib.error.HTTPError) as caught:
            copy.submit(a_document("https://host.example/a.7z"))
        assert (caught.value.code, int(caught.value.headers["Retry-After"]) > 0) == (503, True)
        refusal = json.load(caught.value)
        assert (refusal["ticket"], "disk is full" in refusal["message"]) == (None, True)
    assert tickets.all() == []


def test_what_was_taken_before_the_disk_was_full_is_found_again(web: Checkout, valkey: str, tickets: Tickets) -> None:
    taken = submit_with_key(web, "one")
    with checkouts.checkout(REDIS=valkey, MIN_FREE_DISK=2**60) as copy:
        copy.start_web()
        assert submit_with_key(copy, "one") == taken
        assert submit_with_key(copy, "two")[0] == 503
    assert len(tickets.all()) == 1


def test_a_conversion_is_cancelled_with_its_token(web: Checkout, tickets: Tickets) -> None:
    def cancel(ticket: Any, token: str) -> Any:
        return web.post("/api/converter/cancel", ticket=ticket, token=token)

    receipt = tickets.create(DOCUMENT, title="t", webhook="https://site.example/")
    assert cancel(5, "x") == {"cancelled": False, "found": False}
    with pytest.raises(urllib.error.HTTPError) as caught:
        cancel(receipt.ticket, "wrong")
    assert (caught.value.code, caught.value.read()) == (403, b"Failed to validate token!")
    assert cancel(*receipt) == {"cancelled": True, "found": True}
    assert cancel(*receipt) == {"cancelled": False, "found": True}
    found = tickets.get(receipt.ticket)
    assert found is not None
    assert (found.success, found.errors[0]["code"]) == (False, "cancelled")
    assert tickets.client.llen("huey.redis.knossosdupkeep") == 1


def test_the_states_of_a_ticket(web: Checkout, tickets: Tickets) -> None:
    receipt = tickets.create(DOCUMENT, title="t")
    waiting = web.get(f"/api/converter/get_status/{receipt.ticket}")
    assert (waiting["state"], waiting["position"], waiting["attempt"]) == ("WAITING", 1, 0)
    assert "runtime" not in waiting
    execution = Execution.claim(tickets, receipt.ticket)
    assert execution is not None
    working = web.get(f"/api/converter/get_status/{receipt.ticket}")
    assert (working["state"], working["attempt"], "position" in working) == ("WORKING", 1, False)
    execution.finish(Outcome("{}"))
    done = web.get(f"/api/converter/get_status/{receipt.ticket}")
    assert (done["state"], done["success"]) == ("DONE", True)
    assert done["runtime"] >= 0
    assert done["time"] == pytest.approx(working["time"], abs=60)


@pytest.mark.parametrize("ticket", ["1", "-1", str(2**53), str(10**30)])
def test_an_unknown_ticket_is_not_found(web: Checkout, tickets: Tickets, ticket: str) -> None:
    status, text, headers = request(web, "GET", f"/api/converter/get_status/{ticket}")
    assert status == 404
    assert json.loads(text)["error"] is True
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/api/converter/get_status/x", "/api/converter/get_status/1.5", "/api/nothing"])
def test_an_unknown_address_of_the_api_answers_json(web: Checkout, path: str) -> None:
    status, text, _ = request(web, "GET", path)
    assert (status, json.loads(text)["error"]) == (404, True)


def test_retrieving(web: Checkout, tickets: Tickets) -> None:
    receipt = tickets.create(DOCUMENT, title="t")

    def retrieve(ticket: Any = receipt.ticket, token: str = receipt.token) -> Any:
        return web.post("/api/converter/retrieve", ticket=ticket, token=token)

    assert retrieve(ticket=5) == {"json": None, "success": False, "finished": True, "found": False}
    assert retrieve(ticket="x")["found"] is False
    assert retrieve(ticket="-1")["found"] is False
    assert retrieve() == {"json": None, "success": False, "finished": False, "found": True}
    with pytest.raises(urllib.error.HTTPError) as caught:
        retrieve(token="wrong")
    assert (caught.value.code, caught.value.read()) == (403, b"Failed to validate token!")
    execution = Execution.claim(tickets, receipt.ticket)
    assert execution is not None
    execution.finish(Outcome('{"mods":[]}', warnings=(Finding(Code.ARCHIVE_WARNING, "y"),)))
    for _ in range(2):
        assert retrieve() == {
            "json": '{"mods":[]}',
            "success": True,
            "finished": True,
            "found": True,
            "errors": [],
            "warnings": [{"code": "archive_warning", "message": "y"}],
        }


def test_retrieving_a_failure(web: Checkout, tickets: Tickets) -> None:
    receipt = tickets.create(DOCUMENT, title="t")
    execution = Execution.claim(tickets, receipt.ticket)
    assert execution is not None
    execution.log(Level.ERROR, "oh")
    execution.finish(Outcome(errors=(Finding(Code.ARCHIVE_EMPTY, "Nothing in it.", "Fill it.", "m", "p", "f"),)))
    answer = web.post("/api/converter/retrieve", ticket=receipt.ticket, token=receipt.token)
    assert (answer["json"], answer["success"], answer["finished"]) == (None, False, True)
    assert answer["errors"] == [
        {
            "code": "archive_empty",
            "message": "Nothing in it.",
            "hint": "Fill it.",
            "mod": "m",
            "package": "p",
            "file": "f",
        }
    ]


def test_the_schema_is_served(web: Checkout) -> None:
    assert web.get("/schema.json")["title"] == "FreeSpace Open repo document"


def test_redis_away_is_told_and_it_comes_back(web: Checkout, valkey: str, tickets: Tickets) -> None:
    tickets.client.execute_command("CLIENT", "PAUSE", "200")
    assert web.get("/schema.json")
    assert form(web, "/api/converter/retrieve", "ticket=1")[0] == 200


def crowd(web: Checkout, path: str, body: str = "", count: int = 300) -> list[bytes]:
    """The first bytes of what so many clients get that ask at the same moment."""
    head = f"{'POST' if body else 'GET'} {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", web.port), 20)) for _ in range(count)]
        for client in clients:
            client.sendall(f"{head}Content-Type: application/x-www-form-urlencoded\r\n\r\n{body}".encode())
        return [client.recv(12) for client in clients]


def test_a_crowd_waits_for_redis_and_is_not_sent_away(web: Checkout, tickets: Tickets) -> None:
    tickets.client.execute_command("CLIENT", "PAUSE", "500")
    assert set(crowd(web, "/api/converter/retrieve", "ticket=5")) == {b"HTTP/1.1 200"}


def test_a_crowd_that_asks_shares_its_trips_to_redis(web: Checkout, tickets: Tickets) -> None:
    ticket = tickets.create(DOCUMENT, title="").ticket
    tickets.client.config_resetstat()
    tickets.client.execute_command("CLIENT", "PAUSE", "500")
    assert set(crowd(web, f"/api/converter/get_status/{ticket}")) == {b"HTTP/1.1 200"}
    assert tickets.client.info("commandstats")["cmdstat_eval"]["calls"] < 100


def test_more_clients_than_files_by_default_are_served(valkey: str) -> None:
    with checkouts.checkout(REDIS=valkey) as copy:
        copy.start("sh", "-c", f"ulimit -Sn 64 && exec {sys.executable} knossosd.py serve", stderr=subprocess.DEVNULL)
        copy.wait_until_ready()
        assert set(crowd(copy, "/static/knossosd.css", count=100)) == {b"HTTP/1.1 200"}


@pytest.mark.parametrize(
    "path", ["/", "/converter", "/tasks", "/watch/5", "/static/converter.js", "/static/session.js"]
)
def test_pages_are_there_and_safe(web: Checkout, path: str) -> None:
    status, text, headers = request(web, "GET", path)
    assert status == 200
    assert text
    assert headers["x-content-type-options"] == "nosniff"
    if not path.startswith("/static"):
        assert "script-src 'self'" in headers["content-security-policy"]
        assert "<script>" not in text


@pytest.mark.parametrize("path", ["/static/../app.py", "/static/%2e%2e/app.py", "/static/missing.js", "/nothing"])
def test_nothing_else_is_served(web: Checkout, path: str) -> None:
    assert request(web, "GET", path)[0] == 404


def test_polls_do_not_fill_the_log(web: Checkout, tickets: Tickets) -> None:
    ticket = tickets.create(DOCUMENT, title="").ticket
    assert web.state(ticket) == "WAITING"
    assert request(web, "GET", "/api/converter/get_status/5")[0] == 404
    wait_until(lambda: "get_status/5 " in web.logs(), "the failure is logged")
    assert str(ticket) not in web.logs()


def test_no_secret_stands_in_the_log(web: Checkout) -> None:
    for path in ("/drop/17/secret-token/0", "/watch/5?after=secret-query"):
        request(web, "POST" if "drop" in path else "GET", path)
    wait_until(lambda: "/watch/5?" in web.logs(), "the requests are logged")
    assert "POST /drop/17/" in web.logs()
    assert "secret" not in web.logs()
