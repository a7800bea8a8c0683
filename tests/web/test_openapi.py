"""The published description of the HTTP API is true: of every route, and of every answer of a running server."""

import hashlib
import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict
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

from knossosd.conversion.cache import Cache
from knossosd.conversion.previews import KIND
from knossosd.faults import Code, Finding
from knossosd.repo.outline import outline
from knossosd.settings import DAY, Settings
from knossosd.tickets import keys
from knossosd.tickets.chunked import ChunkedUploads
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.outbox import Outbox
from knossosd.tickets.record import State
from knossosd.tickets.store import Receipt, Tickets
from knossosd.tickets.workers import Heartbeat, living
from knossosd.web.bodies import SMALL
from knossosd.web.openapi import describe
from tests.checkouts import KEY, Checkout, a_document, wait_until
from tests.web.test_api import request
from tests.web.test_drop import drop, multipart

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
    schemas = [one.definition["schema"] for one in (*operation.path_parameters, *operation.query)]
    return bool(operation.body) or any(one.get("type") == "integer" or "pattern" in one for one in schemas)


def goes_on(operation: schemathesis.APIOperation) -> bool:
    """Whether a good answer does not end by itself."""
    return "text/event-stream" in str(operation.definition.raw["responses"].get("200"))


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
    @given(operation.as_strategy(generation_mode=mode), st.sampled_from([{}] if goes_on(operation) else [BEARER, {}]))
    def ask(case: schemathesis.Case, key: dict[str, str]) -> None:
        case.call_and_validate(web.url, checks=CHECKS, headers=key)
        for begun in (web.folder / "var" / "mirror" / ".parts").glob("*"):
            shutil.rmtree(begun)  # an upload that was begun has its whole room on the disk

    ask()


PLACES = {
    "ticket": 5,
    "t": 5,
    "token": "-",
    "kid": 0,
    "upload": "0" * 16,
    "number": 0,
    "sha256": "0" * 64,
    "delivery": "x",
    "edition": "x",
    "name": "x",
}
"""What may stand in paths. Nothing is there."""


def ask(web: Checkout, label: str, key: dict[str, str] = BEARER, **parts: Any) -> Any:
    """The answer to a request that was made with care; it must be as it is described."""
    places = {**PLACES, **parts.pop("path_parameters", {})}
    case = OPERATIONS[label].Case(path_parameters={n: v for n, v in places.items() if f"{{{n}}}" in label}, **parts)
    return case.call_and_validate(web.url, checks=CHECKS, headers=key)


@pytest.mark.parametrize(
    "label", [label for label, one in OPERATIONS.items() if one.definition.raw.get("security") == KEY_ONLY]
)
def test_what_needs_a_key_is_not_done_without(web: Checkout, tickets: Tickets, label: str) -> None:
    ticket = tickets.create("{}", title="t").ticket
    for key in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic \xe9"}):
        status = ask(web, label, key, path_parameters={"ticket": ticket}).status_code
        assert status == (403 if "upload" in label else 401)
    found = tickets.get(ticket)
    assert found is not None
    assert found.state is State.WAITING


@pytest.mark.parametrize("label", OPERATIONS)
def test_whoever_guessed_too_often_is_told_at_every_route(web: Checkout, redis_client: redis.Redis, label: str) -> None:
    redis_client.zadd(keys.REFUSALS, {"127.0.0.1": time.time() + DAY})
    assert ask(web, label).status_code == 429


OTHERWISE = ("POST /api/converter/request", "POST /api/converter/check", "POST /drop", "PUT", "HEAD")
"""What takes large bodies; and what gevent refuses by itself."""


@pytest.mark.parametrize("label", [label for label in OPERATIONS if not label.startswith(OTHERWISE)])
def test_a_body_that_is_too_large_is_told_at_every_route(web: Checkout, label: str) -> None:
    case = OPERATIONS[label].Case(path_parameters={n: v for n, v in PLACES.items() if f"{{{n}}}" in label})
    answer = case.call(web.url, data=b"x" * (SMALL + 1))
    case.validate_response(answer, checks=CHECKS)
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "label", [label for label, one in OPERATIONS.items() if "another site" in str(one.definition.raw["responses"])]
)
def test_a_page_of_another_site_is_refused(web: Checkout, label: str) -> None:
    assert ask(web, label, headers={"Origin": "https://other.example"}).status_code == 403


@pytest.mark.parametrize(
    ("said", "status"), [({"Sec-WebSocket-Version": "13"}, 400), ({"Sec-WebSocket-Version": "8"}, 426), ({}, 426)]
)
@pytest.mark.parametrize("label", ["GET /ws/watcher/{ticket}", "GET /ws/inter/{ticket}"])
def test_a_bad_handshake_is_described(web: Checkout, label: str, said: dict[str, str], status: int) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": "websocket", **said}
    assert ask(web, label, {}, headers=headers).status_code == status


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
    for all_of_them in ("GET /api/list_tasks", "GET /api/statistics", "GET /metrics"):
        assert ask(web, all_of_them).status_code == 200


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


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"])
@pytest.mark.parametrize("document", [a_document("https://host.example/a.7z"), {"mods": [{}]}, {}])
def test_what_is_wrong_with_a_document_is_described(web: Checkout, document: Any, kind: str) -> None:
    body = {"data": json.dumps(document)}
    answer = ask(web, "POST /api/converter/check", body=body, media_type=kind)
    assert (answer.status_code, answer.json()["valid"]) == (200, "id" in document)


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


def test_an_upload_in_parts_is_described_to_its_end(
    web: Checkout, redis_client: redis.Redis, settings: Settings
) -> None:
    content = b"7z\xbc\xaf\x27\x1c in parts"
    digest, uploads = hashlib.sha256(content).hexdigest(), ChunkedUploads(redis_client, settings)
    announced = {"filename": "core.7z", "size": len(content)}
    begun = ask(web, "POST /api/chunked", body=announced, media_type="application/json").json()
    path, key = {"upload": begun["id"], "number": 0}, {"Authorization": f"Bearer {begun['token']}"}

    def go_on(label: str, **parts: Any) -> tuple[int, Any]:
        answer = ask(web, label.replace("…", "/api/chunked/{upload}"), key, path_parameters=path, **parts)
        return answer.status_code, answer.json()

    def send(data: bytes, sha256: str = digest) -> int:
        label, kind = "PUT …/parts/{number}", "application/octet-stream"
        return go_on(label, body=data, query={"sha256": sha256}, media_type=kind)[0]

    assert go_on("POST …/finish")[0] == 409
    assert [send(b"short"), send(b"p" * len(content)), send(content, "0" * 64), send(content)] == [400, 415, 422, 200]
    assert go_on("POST …/finish")[1]["state"] == "FINISHING"
    assert send(content) == 409
    fault = Finding(Code.UPLOAD_DAMAGED, "It came damaged.", "Send it again.")
    for happens, state in (
        (lambda: True, "FINISHING"),
        (lambda: uploads.reopen(begun["id"], [0], fault), "OPEN"),
        (lambda: send(content) == 200 and go_on("POST …/finish")[0] == 200, "FINISHING"),
        (lambda: uploads.done(begun["id"], f"{web.url}/mirror/uploads/{digest}", digest), "DONE"),
    ):
        assert happens()
        assert go_on("GET …")[1]["state"] == state
    assert go_on("DELETE …") == (200, {"error": False})
    assert go_on("DELETE …")[0] == 404


@pytest.mark.parametrize("warnings", [[], [Finding(Code.CASE_CONFLICT, "odd", file="a.7z").as_json()]])
def test_what_an_upload_holds_is_described(web: Checkout, tickets: Tickets, warnings: list[Any]) -> None:
    path = {"sha256": drop(web, multipart(b"7z\xbc\xaf\x27\x1c described"))[1]["sha256"]}
    label, cache = "/api/uploads/{sha256}/preview", Cache(web.folder / "var" / "mirror" / ".cache")
    cache.forget(KIND, path["sha256"])
    form: Any = {"body": {"filename": "core.7z"}, "media_type": "application/x-www-form-urlencoded"}
    assert ask(web, f"GET {label}", path_parameters=path).status_code == 202
    assert ask(web, f"POST {label}", path_parameters=path, **form).status_code == 202
    for preview in (
        {"error": Finding(Code.ARCHIVE_EMPTY, "Nothing.").as_json()},
        {**asdict(outline([])), "warnings": warnings},
    ):
        cache.remember(KIND, path["sha256"], preview)
        assert ask(web, f"GET {label}", path_parameters=path).status_code == 200
    assert ask(web, f"POST {label}", path_parameters=path, **form).status_code == 200
    form["body"] = {"filename": "../core.7z"}
    assert ask(web, f"POST {label}", path_parameters=path, **form).status_code == 400


def test_a_redelivery_is_described(web: Checkout, tickets: Tickets) -> None:
    receipt = tickets.create("{}", title="t", webhook="https://site.example/hook")
    execution = Execution.claim(tickets, receipt.ticket)
    assert execution is not None
    execution.finish(Outcome("{}"))
    [delivery] = Outbox(tickets.client).latest(1)
    label = "POST /api/webhooks/{delivery}/redeliver"
    assert ask(web, label, path_parameters={"delivery": delivery.id}).status_code == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/openmetrics-text"])
def test_metrics_are_described_in_both_formats(web: Checkout, kind: str) -> None:
    answer = ask(web, "GET /metrics", headers={"Accept": kind})
    assert answer.headers["content-type"][0].startswith(kind)


@pytest.mark.parametrize("label", ["GET /static/{name}", "GET /static/{edition}/{name}"])
def test_files_of_pages_are_described(web: Checkout, label: str) -> None:
    found = ask(web, label, path_parameters={"name": "converter.js"})
    assert found.status_code == 200
    known = {"If-None-Match": found.headers["etag"][0]}
    assert ask(web, label, path_parameters={"name": "converter.js"}, headers=known).status_code == 304


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
