"""When an answer of Redis is lost, its client sends the command again: nothing is done twice."""

from collections.abc import Callable
from typing import Any

import pytest
import redis

from knossosd.conversion.observer import FileProgress, Level, Stage
from knossosd.faults import Code, Finding
from knossosd.settings import Settings
from knossosd.tickets import events, keys
from knossosd.tickets.ending import Outcome, cancel
from knossosd.tickets.execution import Execution
from knossosd.tickets.outbox import Outbox
from knossosd.tickets.record import State
from knossosd.tickets.store import Tickets
from tests.checkouts import wait_until
from tests.tickets.steps import claimed, found, log_lines


class Stuttering(redis.Redis):
    """Sends every script twice, and knows only the second answer."""

    def eval(self, *arguments: Any) -> Any:
        super().eval(*arguments)
        return super().eval(*arguments)


@pytest.fixture
def tickets(redis_client: redis.Redis, settings: Settings) -> Tickets:
    stuttering = Stuttering(connection_pool=redis_client.connection_pool)
    return Tickets(stuttering, settings.model_copy(update={"tickets_at_once": 1}))


def test_a_whole_life_happens_once(tickets: Tickets) -> None:
    receipt = tickets.create("{}", title="", webhook="https://site.example/", owner="me", idempotency_key="key")
    execution = Execution.claim(tickets, receipt.ticket)
    assert execution is not None
    execution.planned([FileProgress("mod", "Core", "core.7z", Stage.WAITING)])
    execution.log(Level.INFO, "one")
    execution.finished(FileProgress("mod", "Core", "core.7z", Stage.DONE))
    execution.log(Level.INFO, "two")
    assert execution.finish(Outcome("{}"))
    assert log_lines(tickets, receipt) == ["INFO: one", "INFO: two"]
    told = events.past(tickets.client, receipt.ticket).events
    assert [event.name for event in told] == ["files", "log_message", "file", "log_message", "done"]
    assert len(Outbox(tickets.client).all()) == 1
    assert found(tickets, receipt).attempt == 1


class HardOfHearing(redis.Redis):
    """Knows no answer to its first script; before it asks again, `meanwhile` happens."""

    meanwhile: Callable[[], object]
    is_deaf = True

    def eval(self, *arguments: Any) -> Any:
        answer = super().eval(*arguments)
        if self.is_deaf:
            self.is_deaf = False
            self.meanwhile()
            raise redis.ConnectionError("the answer was lost")
        return answer


@pytest.mark.parametrize(
    ("way", "state"),
    [
        (lambda execution: execution.finish(Outcome("{}")), State.DONE),
        (lambda execution: execution.hand_back("Once more."), State.WAITING),
    ],
)
def test_who_hears_first_that_the_ticket_is_not_his_any_more_asks_whether_he_has_ended_it_himself(
    redis_client: redis.Redis, tickets: Tickets, way: Callable[[Execution], object], state: State
) -> None:
    receipt = tickets.create("{}", title="")
    execution = claimed(tickets, receipt)
    client = execution._client = HardOfHearing(connection_pool=redis_client.connection_pool)
    execution._tickets = Tickets(client, tickets.settings)
    client.meanwhile = lambda: wait_until(execution._lost.is_set, "the lease is refused")
    with execution:
        assert way(execution)
    assert found(tickets, receipt).state is state


def test_a_ticket_that_was_made_again_after_its_end_stays_ended(tickets: Tickets) -> None:
    sent: list[Any] = []
    real = tickets.client.eval

    def noting(*arguments: Any) -> Any:
        sent.append(arguments)
        return real(*arguments)

    tickets.client.eval = noting  # type: ignore[method-assign]
    receipt = tickets.create("{}", title="")
    execution = Execution.claim(tickets, receipt.ticket)
    assert execution is not None
    execution.finish(Outcome("{}"))
    real(*sent[0])
    assert found(tickets, receipt).state is State.DONE


def test_cancelling_and_taking_over_happen_once(tickets: Tickets) -> None:
    receipt = tickets.create("{}", title="")
    assert Execution.claim(tickets, receipt.ticket)
    tickets.client.delete(keys.lease(receipt.ticket))
    taken = Execution.take_over(tickets, receipt.ticket)
    assert taken is not None
    assert taken.ticket.vanished == 1
    taken.log(Level.INFO, "again")
    assert log_lines(tickets, receipt) == ["INFO: again"]
    assert cancel(tickets, found(tickets, receipt))
    assert not cancel(tickets, found(tickets, receipt))


def test_a_ticket_is_retried_once(tickets: Tickets) -> None:
    receipt = tickets.create("{}", title="")
    dead = Outcome(errors=(Finding(Code.DISK_FULL, "The disk is full."),))
    assert claimed(tickets, receipt).finish(dead)
    assert tickets.retry(found(tickets, receipt))
    assert found(tickets, receipt).state is State.WAITING


def test_a_ticket_is_handed_back_once(tickets: Tickets) -> None:
    receipt = tickets.create("{}", title="")
    execution = Execution.claim(tickets, receipt.ticket)
    assert execution is not None
    assert execution.hand_back("Once more.")
    assert log_lines(tickets, receipt) == ["WARNING: Once more."]
    assert found(tickets, receipt).state is State.WAITING
