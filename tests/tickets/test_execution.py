"""A worker's hold on a ticket: claimed once, renewed, fenced, ended."""

import threading

import pytest
import redis

from knossosd.conversion.observer import Cancelled, FileProgress, Level, Measure, Snapshot, Stage
from knossosd.faults import Code, Finding
from knossosd.settings import Settings
from knossosd.tickets import events, keys, questions
from knossosd.tickets import execution as execution_module
from knossosd.tickets.ending import Ended, Outcome, cancel
from knossosd.tickets.execution import Execution
from knossosd.tickets.reaper import reap
from knossosd.tickets.record import State
from knossosd.tickets.store import Receipt, Tickets
from tests.checkouts import wait_until
from tests.tickets.steps import claimed, found, log_lines, position, vanish


def test_a_ticket_is_claimed_by_one_worker_only(tickets: Tickets, receipt: Receipt) -> None:
    claims = [Execution.claim(tickets, receipt.ticket) for _ in range(3)]
    assert [claim is not None for claim in claims] == [True, False, False]
    ticket = found(tickets, receipt)
    assert (ticket.state, ticket.attempt) == (State.WORKING, 1)
    assert position(tickets, receipt) is None
    assert tickets.working() == 1


def test_an_unknown_ticket_cannot_be_claimed(tickets: Tickets) -> None:
    assert Execution.claim(tickets, 1) is None
    assert list(tickets.client.scan_iter()) == []


def test_a_ticket_that_only_another_version_understands_is_left_to_that(tickets: Tickets, receipt: Receipt) -> None:
    tickets.client.hset(keys.record(receipt.ticket), "created", "in the year of the Vasudans")
    assert Execution.claim(tickets, receipt.ticket) is None
    assert tickets.client.hget(keys.record(receipt.ticket), "state") == "WAITING"
    assert tickets.client.zrange(keys.QUEUE, 0, -1) == [str(receipt.ticket)]


def test_the_lease_is_renewed_while_it_is_held(redis_client: redis.Redis, settings: Settings) -> None:
    tickets = Tickets(redis_client, settings.model_copy(update={"lease_time": 0.3}))
    receipt = tickets.create("{}", title="")
    execution, lease = claimed(tickets, receipt), keys.lease(receipt.ticket)
    with execution:
        for _ in range(6):
            tickets.client.pexpire(lease, 100_000)
            wait_until(lambda: 0 < tickets.client.pttl(lease) <= 300, "it is renewed")
    assert not execution._renewal.is_alive()


def test_success_keeps_the_result_and_ends_the_stream(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    execution.log(Level.INFO, "one")
    assert execution.finish(Outcome('{"mods":[]}', warnings=(Finding(Code.ARCHIVE_WARNING, "y"),)))
    ticket = found(tickets, receipt)
    assert (ticket.state, ticket.success, ticket.warnings) == (
        State.DONE,
        True,
        ({"code": "archive_warning", "message": "y"},),
    )
    assert ticket.runtime >= 0
    assert tickets.result(receipt.ticket) == '{"mods":[]}'
    history = events.past(tickets.client, receipt.ticket).events
    assert [(event.name, event.arguments) for event in history] == [
        ("log_message", ["INFO: one"]),
        ("done", [True]),
    ]
    assert tickets.document(receipt.ticket) is None
    assert tickets.working() == 0


def test_failure_keeps_the_reasons_and_no_result(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    execution.finish(Outcome(errors=(Finding(Code.ARCHIVE_EMPTY, "Nothing in it.", file="a.7z"),)))
    ticket = found(tickets, receipt)
    assert not ticket.success
    assert ticket.errors == ({"code": "archive_empty", "message": "Nothing in it.", "file": "a.7z"},)
    assert tickets.result(receipt.ticket) is None
    assert events.past(tickets.client, receipt.ticket).events[-1].arguments == [False]


def test_every_key_of_a_ticket_has_a_lifetime_at_every_step(tickets: Tickets, receipt: Receipt) -> None:
    def immortal() -> list[str]:
        return [key for key in tickets.client.scan_iter() if tickets.client.ttl(key) < 0]

    assert immortal() == []
    execution = claimed(tickets, receipt)
    execution.log(Level.INFO, "one")
    execution.progress(Snapshot(0.5, ()))
    questions.answer(tickets.client, receipt.ticket, "nobody asked")
    assert immortal() == []
    execution.hand_back("It is to be tried again.")
    assert immortal() == []
    claimed(tickets, receipt).finish(Outcome("{}"))
    assert immortal() == []


def test_a_worker_that_was_replaced_cannot_write_any_more(tickets: Tickets, receipt: Receipt) -> None:
    old = claimed(tickets, receipt)
    vanish(tickets, receipt)
    assert reap(tickets) == ([receipt.ticket], [])
    new = claimed(tickets, receipt)
    before = events.past(tickets.client, receipt.ticket).events
    old.log(Level.INFO, "from the grave")
    old.progress(Snapshot(0.9, ()))
    assert old.finish(Outcome("old")) is None
    assert old.hand_back("It is to be tried again.") is False
    with pytest.raises(Cancelled):
        old.check()
    assert events.past(tickets.client, receipt.ticket).events == before
    assert events.past(tickets.client, receipt.ticket).now is None
    new.check()
    assert new.finish(Outcome("new"))
    assert tickets.result(receipt.ticket) == "new"


def test_removing_a_ticket_stops_its_worker_and_leaves_nothing(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    execution.log(Level.INFO, "one")
    tickets.forget(receipt.ticket)
    execution.log(Level.INFO, "two")
    with pytest.raises(Cancelled):
        execution.check()
    assert execution.finish(Outcome("{}")) is None
    assert [key for key in tickets.client.scan_iter() if str(receipt.ticket) in key] == [keys.events(receipt.ticket)]
    assert 0 < tickets.client.ttl(keys.events(receipt.ticket)) <= 60, "whoever watches reads the last ones"


def test_a_ticket_handed_back_waits_in_its_old_place(tickets: Tickets, receipt: Receipt) -> None:
    later = tickets.create("{}", title="")
    execution = claimed(tickets, receipt)
    assert position(tickets, later) == 1
    execution.hand_back("It is to be tried again.")
    assert found(tickets, receipt).state is State.WAITING
    assert (position(tickets, receipt), position(tickets, later)) == (1, 2)
    assert claimed(tickets, receipt).ticket.attempt == 2


def test_a_worker_notices_soon_that_its_ticket_was_cancelled(tickets: Tickets, receipt: Receipt) -> None:
    """It is silent, so nothing but the renewal of its lease can tell."""
    with claimed(tickets, receipt) as execution:
        cancel(tickets, found(tickets, receipt))
        while True:
            try:
                execution.check()
            except Cancelled:
                break


def test_a_conversion_waits_with_its_end_while_redis_takes_nothing_in(tickets: Tickets, receipt: Receipt) -> None:
    with claimed(tickets, receipt) as execution:
        tickets.client.config_set("maxmemory", 1)
        ends: list[Ended | None] = []
        ending = threading.Thread(target=lambda: ends.append(execution.finish(Outcome("{}"))))
        try:
            ending.start()
            ending.join(1)
            assert ending.is_alive()
        finally:
            tickets.client.config_set("maxmemory", 0)
        ending.join(10)
    assert ends[0]
    assert ends[0].delivery == found(tickets, receipt).ending
    assert found(tickets, receipt).success


def test_a_lease_is_renewed_though_there_is_no_memory_for_anything(tickets: Tickets, receipt: Receipt) -> None:
    lease = keys.lease(receipt.ticket)
    execution = claimed(tickets, receipt)
    tickets.client.pexpire(lease, 1000)
    tickets.client.config_set("maxmemory", 1)
    try:
        with execution:
            wait_until(lambda: tickets.client.pttl(lease) > 1000, "it is renewed")
    finally:
        tickets.client.config_set("maxmemory", 0)


def test_what_redis_will_never_take_is_not_waited_for(tickets: Tickets, receipt: Receipt) -> None:
    with claimed(tickets, receipt) as execution:
        tickets.client.delete(keys.events(receipt.ticket))
        tickets.client.set(keys.events(receipt.ticket), "no stream")
        with pytest.raises(redis.ResponseError):
            execution.log(Level.INFO, "one")


def test_progress_keeps_only_the_newest(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    file = FileProgress("mod", "Core", "core.7z", Stage.DOWNLOADING, 42, 100, 7)
    for fraction in (0.1, 0.2, 0.3):
        execution.progress(Snapshot(fraction, (file,)))
    now = events.past(tickets.client, receipt.ticket).now
    assert now is not None
    assert (now.progress, now.text, now.captcha) == (0.3, " 42% core.7z", None)
    assert now.files == (
        {
            "mod": "mod",
            "package": "Core",
            "file": "core.7z",
            "stage": "downloading",
            "done": 42,
            "total": 100,
            "rate": 7,
        },
    )
    assert tickets.client.xlen(keys.now(receipt.ticket)) == 1
    ticket = found(tickets, receipt)
    assert (ticket.progress, ticket.text) == (0.3, " 42% core.7z")


def test_progress_that_cannot_be_told_does_not_flood_the_log(
    tickets: Tickets, receipt: Receipt, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told several times a second."""
    execution = claimed(tickets, receipt)
    for _ in range(2):
        tickets.client.config_set("maxmemory", 1)
        try:
            for _ in range(5):
                execution.progress(Snapshot(0.5, ()))
        finally:
            tickets.client.config_set("maxmemory", 0)
        execution.progress(Snapshot(0.6, ()))
    assert len([record for record in caplog.records if "progress" in record.message]) == 2
    assert found(tickets, receipt).progress == 0.6


def test_what_came_too_late_is_cancelled_though_its_cost_cannot_be_recorded(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    execution.measured(Measure.DOWNLOADED, 1)
    assert cancel(tickets, found(tickets, receipt))
    tickets.client.config_set("maxmemory", 1)
    try:
        assert execution.finish(Outcome("{}")) is None
    finally:
        tickets.client.config_set("maxmemory", 0)


def test_a_flood_of_log_lines_is_cut_with_a_mark(
    tickets: Tickets, receipt: Receipt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution_module, "MAX_LOG_LINES", 10)
    execution = claimed(tickets, receipt)
    for number in range(25):
        execution.log(Level.INFO, str(number))
    execution.finish(Outcome("{}"))
    assert log_lines(tickets, receipt) == [f"INFO: {number}" for number in range(10)] + ["WARNING: … 15 lines left out"]


def test_lines_from_many_threads_are_all_kept(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    threads = [
        threading.Thread(target=lambda name=name: [execution.log(Level.INFO, f"{name} {n}") for n in range(50)])
        for name in "abcd"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = log_lines(tickets, receipt)
    for name in "abcd":
        assert [line for line in lines if f" {name} " in line] == [f"INFO: {name} {n}" for n in range(50)]


def test_a_question_is_shown_answered_and_gone(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    answers: list[str | None] = []
    asking = threading.Thread(target=lambda: answers.append(execution.ask("https://host.example/captcha.png")))
    asking.start()
    while not found(tickets, receipt).question:
        assert asking.is_alive()
    now = events.past(tickets.client, receipt.ticket).now
    assert now is not None
    assert now.captcha == "https://host.example/captcha.png"
    assert questions.answer(tickets.client, receipt.ticket, "xyzzy")
    asking.join(10)
    assert answers == ["xyzzy"]
    now = events.past(tickets.client, receipt.ticket).now
    assert now is not None
    assert now.captcha is None
    assert questions.answer(tickets.client, receipt.ticket, "late") is False


def test_who_was_replaced_throws_no_answer_away(tickets: Tickets, receipt: Receipt) -> None:
    replaced = claimed(tickets, receipt)
    vanish(tickets, receipt)
    reap(tickets)
    claimed(tickets, receipt)
    tickets.client.hset(keys.record(receipt.ticket), "question", "https://host.example/captcha.png")
    assert questions.answer(tickets.client, receipt.ticket, "xyzzy")
    with pytest.raises(Cancelled):
        replaced.ask("https://host.example/captcha.png")
    assert tickets.client.lrange(keys.answers(receipt.ticket), 0, -1) == ["xyzzy"]


def test_progress_of_others_does_not_hide_a_question(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    answers: list[str | None] = []
    asking = threading.Thread(target=lambda: answers.append(execution.ask("https://host.example/1.png")))
    asking.start()
    while not found(tickets, receipt).question:
        assert asking.is_alive()
    execution.progress(Snapshot(0.5, ()))
    now = events.past(tickets.client, receipt.ticket).now
    assert now is not None
    assert (now.progress, now.captcha) == (0.5, "https://host.example/1.png")
    assert questions.answer(tickets.client, receipt.ticket, "xyzzy")
    asking.join(10)
    assert answers == ["xyzzy"]


def test_one_question_waits_for_the_other(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    answers: dict[str, str | None] = {}

    def ask(image: str) -> None:
        answers[image] = execution.ask(image)

    asking = [threading.Thread(target=ask, args=(f"https://host.example/{number}.png",)) for number in range(2)]
    for thread in asking:
        thread.start()
    answered: list[str] = []
    while len(answered) < 2:
        question = found(tickets, receipt).question
        if question and question not in answered:
            answered.append(question)
            assert questions.answer(tickets.client, receipt.ticket, f"answer to {question}")
    for thread in asking:
        thread.join(10)
    assert answers == {image: f"answer to {image}" for image in answered}


def test_nobody_answers_in_time(redis_client: redis.Redis, settings: Settings) -> None:
    tickets = Tickets(redis_client, settings.model_copy(update={"answer_timeout": 0.1}))
    receipt = tickets.create("{}", title="")
    assert claimed(tickets, receipt).ask("https://host.example/captcha.png") is None


def test_a_conversion_that_asks_can_be_called_off(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    tickets.forget(receipt.ticket)
    with pytest.raises(Cancelled):
        execution.ask("https://host.example/captcha.png")


def test_events_are_read_behind_an_id_and_live(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    for number in range(3):
        execution.log(Level.INFO, str(number))
    first, *rest = events.past(tickets.client, receipt.ticket).events
    assert events.past(tickets.client, receipt.ticket, first.id).events == rest
    assert first.order < rest[0].order < rest[1].order
    cursors = {keys.events(receipt.ticket): rest[0].id, keys.now(receipt.ticket): events.BEGINNING}
    execution.progress(Snapshot(0.5, ()))
    found = {news.stream: (news.last, news.told) for news in events.behind(tickets.client, cursors)}
    last, news = found[keys.events(receipt.ticket)]
    assert isinstance(news, events.Batch)
    assert (last, news.events) == (rest[1].id, (rest[1],))
    assert rest[1].json == '["INFO: 2"]'
    assert isinstance(found[keys.now(receipt.ticket)][1], events.Now)
    ends = events.ends(tickets.client, receipt.ticket)
    assert ends == {stream: last for stream, (last, _) in found.items()}
    assert list(events.behind(tickets.client, ends)) == []


def test_what_is_told_is_news(tickets: Tickets, receipt: Receipt) -> None:
    """Whoever listens learns of each stream that something was added to, and only when it was."""
    execution = claimed(tickets, receipt)
    with tickets.client.pubsub(ignore_subscribe_messages=True) as listener:
        listener.subscribe(keys.NEWS)
        listener.get_message(timeout=5)
        execution.log(Level.INFO, "one")
        execution.progress(Snapshot(0.5, ()))
        execution.finish(Outcome("{}"))
        execution.log(Level.INFO, "too late")
        news = [listener.get_message(timeout=5)["data"] for _ in range(3)]
        assert news == [keys.events(receipt.ticket), keys.now(receipt.ticket), keys.events(receipt.ticket)]
        assert listener.get_message(timeout=0.1) is None


def test_a_batch_knows_what_is_behind(tickets: Tickets, receipt: Receipt) -> None:
    execution = claimed(tickets, receipt)
    for number in range(events.BATCH + 3):
        execution.log(Level.INFO, str(number))
    kept = events.past(tickets.client, receipt.ticket).events
    full, rest = events.Batch.many(kept)
    assert (len(full.events), rest.events) == (events.BATCH, tuple(kept[-3:]))
    assert rest.behind(full.last) is rest
    part = rest.behind(kept[-2].order)
    assert part is not None
    assert part.events == (kept[-1],)
    assert rest.behind(rest.last) is None
