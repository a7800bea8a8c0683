"""What operators see and do."""

import json
from typing import Any

import pytest

from knossosd.faults import Code, Finding
from knossosd.tickets.ending import Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.record import State
from knossosd.tickets.store import Tickets
from tests.checkouts import KEY, Checkout
from tests.web.test_api import DOCUMENT, request


def test_only_operators_see_all_tasks(web: Checkout, tickets: Tickets) -> None:
    receipt = tickets.create(DOCUMENT, title="My Mod 1.0.0")
    status, text, headers = request(web, "GET", "/api/list_tasks")
    assert (status, text) == (401, "Access denied")
    assert "www-authenticate" in headers
    listed = web.get("/api/list_tasks", Authorization=f"Bearer {KEY}")
    assert list(listed) == [str(receipt.ticket)]
    assert listed[str(receipt.ticket)]["state"] == "WAITING"
    assert listed[str(receipt.ticket)]["title"] == "My Mod 1.0.0"


def act(web: Checkout, ticket: int, action: str, key: str = KEY) -> tuple[int, Any]:
    status, text, _ = request(web, "POST", f"/api/tasks/{ticket}/{action}", Authorization=f"Bearer {key}")
    return status, json.loads(text) if text.startswith("{") else text


@pytest.mark.parametrize("action", ["cancel", "retry", "remove"])
def test_nobody_else_acts(web: Checkout, tickets: Tickets, action: str) -> None:
    receipt = tickets.create(DOCUMENT, title="t")
    assert act(web, receipt.ticket, action, "wrong") == (401, "Access denied")
    assert request(web, "POST", f"/api/tasks/{receipt.ticket}/{action}", f"passwd={KEY}")[0] == 401
    assert request(web, "GET", f"/api/tasks/{receipt.ticket}/{action}")[0] == 405
    assert tickets.standings([receipt.ticket])[receipt.ticket].position == 1
    assert act(web, 5, action)[0] == 404


def test_an_operator_calls_off_tries_again_and_removes(web: Checkout, tickets: Tickets) -> None:
    cancelled, failed = (tickets.create(DOCUMENT, title="t") for _ in range(2))
    assert act(web, cancelled.ticket, "cancel") == (200, {"error": False, "done": True})
    assert act(web, cancelled.ticket, "cancel") == (200, {"error": False, "done": False})
    assert act(web, cancelled.ticket, "retry") == (200, {"error": False, "done": False})
    execution = Execution.claim(tickets, failed.ticket)
    assert execution is not None
    execution.finish(Outcome(errors=(Finding(Code.INTERNAL, "Oh."),)))
    assert act(web, failed.ticket, "retry") == (200, {"error": False, "done": True})
    found = tickets.get(failed.ticket)
    assert found is not None
    assert found.state is State.WAITING
    assert tickets.client.llen("huey.redis.knossosdconvert") == 1
    assert act(web, failed.ticket, "remove") == (200, {"error": False, "done": True})
    assert tickets.get(failed.ticket) is None
