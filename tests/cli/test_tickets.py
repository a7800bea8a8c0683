"""Verbs about tickets and webhooks, on a real Valkey."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest
import redis

from knossosd.conversion.observer import Level
from knossosd.faults import Code, Finding
from knossosd.settings import Settings
from knossosd.tickets.ending import Outcome
from knossosd.tickets.outbox import DeliveryState, Outbox
from knossosd.tickets.record import State, Ticket
from knossosd.tickets.store import Receipt, Tickets
from tests import checkouts
from tests.checkouts import Checkout
from tests.tickets.steps import claimed


@pytest.fixture(scope="module")
def copy(valkey: str) -> Iterator[Checkout]:
    with checkouts.checkout(REDIS=valkey) as copy:
        yield copy


@pytest.fixture
def tickets(redis_client: redis.Redis, settings: Settings) -> Tickets:
    return Tickets(redis_client, settings)


@pytest.fixture
def dead(tickets: Tickets) -> Receipt:
    receipt = tickets.create("{}", title="My Mod", webhook="https://site.example/hook")
    claimed(tickets, receipt).finish(Outcome(errors=(Finding(Code.DISK_FULL, "The disk is full."),)))
    return receipt


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def get(tickets: Tickets, receipt: Receipt) -> Ticket:
    found = tickets.get(receipt.ticket)
    assert found is not None
    return found


def test_tickets_are_listed_and_shown_without_their_tokens(copy: Checkout, tickets: Tickets, dead: Receipt) -> None:
    waiting = tickets.create("{}", title="Other Mod")
    listed = ok(copy.verb("tickets", "list"))
    assert str(dead.ticket) in listed
    assert str(waiting.ticket) in listed
    assert "disk_full" in listed
    [only] = json.loads(ok(copy.verb("tickets", "list", "--dead", "--json")))
    assert (only["number"], only["title"], only["errors"][0]["code"]) == (dead.ticket, "My Mod", "disk_full")
    shown = ok(copy.verb("tickets", "show", str(dead.ticket)))
    assert "My Mod" in shown
    assert "disk_full: The disk is full." in shown
    for text in (listed, json.dumps(only), shown, ok(copy.verb("tickets", "show", str(dead.ticket), "--json"))):
        assert dead.token not in text
    assert copy.verb("tickets", "show", "5").returncode == 1


def test_what_failed_is_retried(copy: Checkout, tickets: Tickets, dead: Receipt) -> None:
    ok(copy.verb("tickets", "retry", "--all"))
    assert get(tickets, dead).state is State.WAITING
    assert tickets.client.llen("huey.redis.knossosdconvert") == 1
    refused = copy.verb("tickets", "retry", str(dead.ticket))
    assert (refused.returncode, "has not failed" in refused.stdout) == (1, True)


def test_tickets_are_cancelled_and_removed(copy: Checkout, tickets: Tickets, dead: Receipt) -> None:
    waiting = tickets.create("{}", title="Other Mod")
    assert f"{waiting.ticket} cancelled" in ok(copy.verb("tickets", "cancel", str(waiting.ticket)))
    assert get(tickets, waiting).errors[0]["code"] == "cancelled"
    both = copy.verb("tickets", "cancel", str(waiting.ticket), "5")
    assert both.returncode == 1
    assert "has ended already" in both.stdout
    assert "5 is not known" in both.stdout
    ok(copy.verb("tickets", "remove", str(waiting.ticket), str(dead.ticket)))
    assert tickets.all() == []


def test_deliveries_are_listed_and_made_once_more(copy: Checkout, tickets: Tickets, dead: Receipt) -> None:
    outbox = Outbox(tickets.client)
    [delivery] = outbox.all()
    taken = outbox.take(delivery.id)
    assert taken is not None
    outbox.note(taken, "The webhook answered with status 500.", state=DeliveryState.GIVEN_UP)
    listed = ok(copy.verb("webhooks", "list"))
    assert delivery.id in listed
    assert "status 500" in listed
    assert dead.token not in listed + ok(copy.verb("webhooks", "list", "--json"))
    ok(copy.verb("webhooks", "redeliver", delivery.id))
    assert outbox.due() == [delivery.id]
    assert tickets.client.llen("huey.redis.knossosdupkeep") == 1
    assert copy.verb("webhooks", "redeliver", "unknown").returncode == 1


def test_what_modders_and_hosts_write_is_shown_as_it_is(copy: Checkout, tickets: Tickets) -> None:
    one = tickets.create("{}", title="[/red] Mod [bold]", webhook="https://site.example/hook")
    execution = claimed(tickets, one)
    execution.log(Level.INFO, "\x1b[2J[/x]")
    execution.finish(Outcome(errors=(Finding(Code.DISK_FULL, "Full."),)))
    [delivery] = Outbox(tickets.client).all()
    Outbox(tickets.client).note(replace(delivery, attempts=0), "[/x] said", state=DeliveryState.WAITING)
    assert "[/red] Mod [bold]" in ok(copy.verb("tickets", "list"))
    assert "INFO: \\x1b[2J[/x]" in ok(copy.verb("tickets", "show", str(one.ticket)))
    assert "[/x] said" in ok(copy.verb("webhooks", "list"))


def test_while_redis_takes_nothing_in_tickets_are_shown_but_not_changed(
    copy: Checkout, tickets: Tickets, dead: Receipt
) -> None:
    [delivery] = Outbox(tickets.client).all()
    tickets.client.config_set("maxmemory", 1)
    try:
        assert str(dead.ticket) in ok(copy.verb("tickets", "list"))
        for verb in ("cancel", "retry", "remove"):
            refused = copy.verb("tickets", verb, str(dead.ticket))
            assert (refused.returncode, refused.stdout) == (3, "")
            assert "Redis takes nothing in" in refused.stderr
            assert "Traceback" not in refused.stderr
        assert copy.verb("webhooks", "redeliver", delivery.id).returncode == 3
    finally:
        tickets.client.config_set("maxmemory", 0)
    assert get(tickets, dead).state is State.DONE


def test_all_and_some_are_not_retried_at_once(copy: Checkout, tickets: Tickets, dead: Receipt) -> None:
    assert copy.verb("tickets", "retry", str(dead.ticket), "--all").returncode == 2
    assert copy.verb("tickets", "retry").returncode == 2
    assert get(tickets, dead).state is State.DONE
