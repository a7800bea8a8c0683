"""Who guesses keys and tokens has to wait, whichever web process and whichever door he tries."""

import json
import socket
import time
from collections.abc import Iterator

import pytest
import redis

from knossosd.settings import DAY
from knossosd.tickets import keys
from tests import checkouts
from tests.checkouts import KEY, Checkout
from tests.web.test_api import DOCUMENT, request
from tests.web.test_drop import CONTENT, multipart, old_token
from tests.web.test_live import GOOD, handshake

GUESSES = 4


@pytest.fixture(scope="module")
def guarded(valkey: str) -> Iterator[Checkout]:
    """Two web processes behind a proxy, which is played by the tests."""
    with checkouts.checkout(REDIS=valkey, WRONG_KEYS=GUESSES, TRUSTED_PROXIES=("127.0.0.1",)) as copy:
        copy.start_web()
        copy.start_web()
        yield copy


def submit(web: Checkout, key: str, address: str) -> tuple[int, str, dict[str, str]]:
    body = json.dumps({"passwd": key, "data": DOCUMENT})
    headers = {"Content_Type": "application/json", "X_Forwarded_For": address}
    return request(web, "POST", "/api/converter/request", body, **headers)


def test_a_guesser_has_to_wait_and_nobody_else(guarded: Checkout, redis_client: redis.Redis) -> None:
    for number in range(GUESSES):
        assert submit(guarded, f"guess-{number}", "192.0.2.1")[:2] == (403, "Access denied")
    for key in ("guess", KEY):  # the right one, too, or it would be known
        status, text, headers = submit(guarded, key, "192.0.2.1")
        assert (status, json.loads(text)["error"]) == (429, True)
        assert 0 < int(headers["retry-after"]) <= 60
    assert submit(guarded, KEY, "192.0.2.2")[0] == 200
    assert submit(guarded, KEY, "192.0.2.1, 192.0.2.2")[0] == 200, "the client writes what it likes before"
    assert submit(guarded, KEY, "192.0.2.2, 192.0.2.1")[0] == 429
    redis_client.zincrby(keys.REFUSALS, -60, "192.0.2.1")  # as if a minute had passed
    assert submit(guarded, KEY, "192.0.2.1")[0] == 200


def test_right_keys_cost_nothing(guarded: Checkout, redis_client: redis.Redis) -> None:
    for _ in range(3 * GUESSES):
        assert submit(guarded, KEY, "192.0.2.1")[0] == 200
    assert not redis_client.exists(keys.REFUSALS)


@pytest.mark.parametrize(
    ("method", "path", "body", "authorization"),
    [
        ("GET", "/api/list_tasks", None, "Bearer guess"),
        ("POST", "/api/tasks/{ticket}/remove", "", "Basic Z3Vlc3M6Z3Vlc3M="),
        ("POST", "/api/converter/retrieve", "ticket={ticket}&token=guess", None),
        ("POST", "/api/converter/cancel", "ticket={ticket}&token=guess", None),
        ("POST", "/drop/17/guess/0", "", None),
        ("POST", "/drop/17/-/0", "", "Bearer guess"),
    ],
)
def test_every_door_counts(
    guarded: Checkout, redis_client: redis.Redis, method: str, path: str, body: str | None, authorization: str | None
) -> None:
    ticket = json.loads(submit(guarded, KEY, "192.0.2.2")[1])["ticket"]
    path, body = path.format(ticket=ticket), body and body.format(ticket=ticket)
    headers = {"X_Forwarded_For": "192.0.2.1"} | ({"Authorization": authorization} if authorization else {})
    answers = [request(guarded, method, path, body, **headers) for _ in range(GUESSES + 1)]
    assert {status for status, _, _ in answers[:-1]} <= {401, 403}
    assert answers[-1][0] == 429
    assert ("access-control-allow-origin" in answers[-1][2]) == path.startswith("/drop")
    assert submit(guarded, KEY, "192.0.2.1")[0] == 429, "it is one debt for all doors"


def test_whoever_watches_needs_no_key_whatever_the_browser_sends(guarded: Checkout, redis_client: redis.Redis) -> None:
    redis_client.zadd(keys.REFUSALS, {"127.0.0.1": time.time() + DAY})
    assert request(guarded, "GET", "/api/list_tasks", Authorization=f"Bearer {KEY}")[0] == 429
    with handshake(guarded, *GOOD, "Authorization: Basic Z3Vlc3M6Z3Vlc3M=") as connection:
        seen = b"".join(iter(lambda: connection.recv(65536), b""))
    assert seen.startswith(b"HTTP/1.1 101 ")
    assert b'["task_status", ["missing"]]' in seen


def test_a_page_of_another_site_makes_nobody_wait(guarded: Checkout, redis_client: redis.Redis) -> None:
    """It can let the browsers of operators ask, as often as it likes."""
    headers = {"X_Forwarded_For": "192.0.2.1", "Sec_Fetch_Site": "cross-site", "Authorization": "Bearer guess"}
    for method, path in (("POST", "/api/tasks/1/cancel"), ("GET", "/api/monitor")):
        assert {request(guarded, method, path, **headers)[0] for _ in range(2 * GUESSES)} == {403}
    assert not redis_client.exists(keys.REFUSALS)


def test_an_upload_that_breaks_off_makes_nobody_wait(guarded: Checkout, redis_client: redis.Redis) -> None:
    now = int(time.time())
    head = f"POST /drop/{now}/{old_token(now)}/0 HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.1\r\n"
    head += "Content-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n"
    for _ in range(2 * GUESSES):
        with socket.create_connection(("127.0.0.1", guarded.port), timeout=20) as connection:
            connection.sendall(head.encode() + multipart(CONTENT)[:100_000])
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(12) == b"HTTP/1.1 403"
    assert not redis_client.exists(keys.REFUSALS)


def test_who_only_looks_is_not_asked(guarded: Checkout, redis_client: redis.Redis) -> None:
    for _ in range(2 * GUESSES):
        assert request(guarded, "GET", "/api/list_tasks", X_Forwarded_For="192.0.2.1")[0] == 401
    for number in range(GUESSES):
        submit(guarded, f"guess-{number}", "192.0.2.1")
    for path in ("/", "/healthz", "/static/converter.js", "/schema.json"):
        assert request(guarded, "GET", path, X_Forwarded_For="192.0.2.1")[0] == 200
    assert request(guarded, "OPTIONS", "/drop/1/x/0", X_Forwarded_For="192.0.2.1")[0] == 200


def test_the_log_names_the_client_and_not_the_proxy(guarded: Checkout) -> None:
    request(guarded, "GET", "/converter", X_Forwarded_For="192.0.2.77")
    checkouts.wait_until(lambda: "192.0.2.77 - - " in guarded.logs(), "the request is logged")


def test_the_command_line_says_when_to_try_again(guarded: Checkout, redis_client: redis.Redis) -> None:
    (guarded.folder / "mod.json").write_text(DOCUMENT)
    arguments = ("submit", "mod.json", "out.json", "--server", guarded.url, "--key", "guess")
    assert {guarded.verb(*arguments).returncode for _ in range(GUESSES)} == {4}
    refused = guarded.verb(*arguments)
    assert refused.returncode == 3
    assert "Try again in" in refused.stderr
