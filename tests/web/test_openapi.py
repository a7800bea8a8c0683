"""The published description of the HTTP API is true: of every route, and of every answer of a running server."""

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import bottle
import hypothesis
import pytest
import redis
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from knossosd.faults import Code, Finding
from knossosd.settings import Settings
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.record import State
from knossosd.tickets.store import Receipt, Tickets
from knossosd.tickets.workers import Heartbeat, living
from knossosd.web.openapi import describe
from tests.checkouts import KEY, Checkout, a_document, wait_until
from tests.web.test_api import request

SETTINGS = Settings(MIRROR_PATH="mirror", MIRROR_URL="http://127.0.0.1/mirror", UPLOAD_PATH="uploads")

CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.unsupported_method,
]


def test_every_route_is_described_and_no_other(routes: list[bottle.Route], settings: Settings) -> None:
    installed = {(re.sub(r"<(\w+)(:\w+)?>", r"{\1}", route.rule), route.method.lower()) for route in routes}
    described = {(path, method) for path, methods in describe(settings)["paths"].items() for method in methods}
    assert described == installed


def test_what_the_server_does_not_serve_is_not_described(settings: Settings) -> None:
    assert "/mirror/{name}" in describe(settings)["paths"]
    assert "/mirror/{name}" not in describe(settings.model_copy(update={"serve_mirror": False}))["paths"]


def test_the_description_is_a_valid_one() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(describe(SETTINGS)).iter_errors()] == []


def test_the_description_is_published(web: Checkout) -> None:
    assert web.get("/openapi.json") == describe(SETTINGS)


API = schemathesis.openapi.from_dict(describe(SETTINGS))
OPERATIONS = {operation.label: operation for operation in (result.ok() for result in API.get_all_operations())}
FEWER = 4
"""An example costs a request."""

BEARER = {"Authorization": f"Bearer {KEY}"}
KEY_ONLY = [{"bearer": []}, {"basic": []}]


@pytest.fixture(autouse=True)
def a_worker(redis_client: redis.Redis) -> Iterator[None]:
    """Somebody who would convert, without whom the server is not ready."""
    heartbeat = Heartbeat(redis_client, "worker")
    heartbeat.start()
    wait_until(lambda: living(redis_client), "the worker lives")
    yield
    heartbeat.stop()


def is_ruled(operation: schemathesis.APIOperation) -> bool:
    """Whether there is a request that breaks a rule of the description."""
    numbers = [one for one in operation.path_parameters if one.definition["schema"].get("type") == "integer"]
    return bool(operation.body or numbers)


@pytest.mark.parametrize(
    ("operation", "mode"),
    [
        pytest.param(operation, mode, id=f"{label} {mode.value}")
        for label, operation in OPERATIONS.items()
        for mode in GenerationMode
        if mode is GenerationMode.POSITIVE or is_ruled(operation)
    ],
)
def test_every_answer_is_as_it_is_described(
    web: Checkout, operation: schemathesis.APIOperation, mode: GenerationMode
) -> None:
    """Whatever is asked, as the description allows it or not, with a key and without."""

    @hypothesis.settings(max_examples=hypothesis.settings().max_examples // FEWER)
    @given(operation.as_strategy(generation_mode=mode), st.sampled_from([BEARER, {}]))
    def ask(case: schemathesis.Case, key: dict[str, str]) -> None:
        case.call_and_validate(web.url, checks=CHECKS, headers=key)

    ask()


def ask(web: Checkout, label: str, **parts: Any) -> Any:
    """The answer to a request that was made with care; it must be as it is described."""
    return OPERATIONS[label].Case(**parts).call_and_validate(web.url, checks=CHECKS, headers=BEARER)


@pytest.mark.parametrize(
    "label", [label for label, one in OPERATIONS.items() if one.definition.raw.get("security") == KEY_ONLY]
)
def test_what_needs_a_key_is_not_done_without(web: Checkout, tickets: Tickets, label: str) -> None:
    ticket = tickets.create("{}", title="t").ticket
    case = OPERATIONS[label].Case(path_parameters={"ticket": ticket})
    for key in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic \xe9"}):
        assert case.call_and_validate(web.url, checks=CHECKS, headers=key).status_code == 401
    found = tickets.get(ticket)
    assert found is not None
    assert found.state is State.WAITING


STATES = {
    "WAITING": lambda _: None,
    "WORKING": lambda claim: claim(),
    "converted": lambda claim: claim().finish(Outcome("{}", warnings=[Finding(Code.CASE_CONFLICT, "odd")])),
    "failed": lambda claim: claim().finish(Outcome(errors=[Finding(Code.INTERNAL, "ours", "hint", "m", "p", "f")])),
}


@pytest.fixture(params=STATES)
def receipt(request: pytest.FixtureRequest, tickets: Tickets) -> Receipt:
    receipt = tickets.create("{}", title="t")
    STATES[request.param](lambda: Execution.claim(tickets, receipt.ticket))
    return receipt


@pytest.mark.parametrize("label", [label for label in OPERATIONS if "{ticket}" in label and "ws" not in label])
def test_tickets_in_every_state_are_described(web: Checkout, receipt: Receipt, label: str) -> None:
    assert ask(web, label, path_parameters={"ticket": receipt.ticket}).status_code == 200
    assert ask(web, "GET /api/list_tasks").status_code == 200


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize("label", ["POST /api/converter/retrieve", "POST /api/converter/cancel"])
def test_what_becomes_of_tickets_is_described(web: Checkout, receipt: Receipt, label: str, kind: str) -> None:
    body = {"ticket": receipt.ticket, "token": receipt.token}
    answer = ask(web, label, body=body, media_type=kind)
    assert (answer.status_code, answer.json()["found"]) == (200, True)


@pytest.mark.parametrize("document", [a_document("https://host.example/a.7z"), {"mods": [{}]}])
def test_a_submission_is_described(web: Checkout, tickets: Tickets, document: Any) -> None:
    label, kind = "POST /api/converter/request", "application/json"
    assert ask(web, label, body={"data": document}, media_type=kind).status_code == 200
    assert ask(web, label, body={"data": document, "passwd": "wrong"}, media_type=kind).status_code == 403


def test_an_upload_and_its_link_are_described(web: Checkout) -> None:
    path = {"t": int(time.time()), "token": "-", "kid": 0}
    label = "POST /drop/{t}/{token}/{kid}"
    head = b'Content-Disposition: form-data; name="file"; filename="a.7z"'
    body = b"--b\r\n" + head + b"\r\n\r\n7z\xbc\xaf\x27\x1c5\r\n--b--\r\n"
    case = OPERATIONS[label].Case(path_parameters=path, headers={"Content-Type": "multipart/form-data; boundary=b"})
    uploaded = case.call(web.url, headers=BEARER, data=body)
    case.validate_response(uploaded, checks=CHECKS)
    name = {"name": uploaded.json()["url"].partition("/mirror/")[2]}
    for wanted, status in ((None, 200), ("bytes=1-2", 206), ("bytes=9-", 416)):
        headers = {"Range": wanted} if wanted else {}
        assert ask(web, "GET /mirror/{name}", path_parameters=name, headers=headers).status_code == status
        assert ask(web, "HEAD /mirror/{name}", path_parameters=name, headers=headers).status_code == status


@pytest.mark.parametrize("path", ["/nothing", "/api/nothing", "/watch/" + "9" * 5000, "/mirror/<script>"])
def test_a_refusal_repeats_nothing_of_the_request(web: Checkout, path: str) -> None:
    for method in ("GET", "POST", "DELETE"):
        status, text, headers = request(web, method, path)
        assert status in (400, 404, 405)
        assert len(text) < 100
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("label", ["POST /api/converter/retrieve", "POST /api/converter/cancel"])
def test_a_ticket_of_thousands_of_digits_is_none(web: Checkout, label: str) -> None:
    body = {"ticket": "9" * 5000, "token": "x"}
    assert ask(web, label, body=body, media_type="application/x-www-form-urlencoded").json()["found"] is False


ODD = ["\ud800", "\x00", 5, None, [], {}, True]
"""What JSON can say where text is meant."""


@pytest.mark.parametrize("odd", ODD)
def test_odd_values_in_json_are_refused(web: Checkout, tickets: Tickets, odd: Any) -> None:
    receipt = tickets.create("{}", title="t")
    for path in ("retrieve", "cancel"):
        body = json.dumps({"ticket": receipt.ticket, "token": odd})
        assert request(web, "POST", f"/api/converter/{path}", body, Content_Type="application/json")[0] == 403
    for field in ("passwd", "data", "webhook", "no_cache"):
        body = json.dumps({"passwd": KEY, "data": a_document("https://host.example/a.7z"), field: odd})
        status, text, _ = request(web, "POST", "/api/converter/request", body, Content_Type="application/json")
        assert status in (200, 403), text
