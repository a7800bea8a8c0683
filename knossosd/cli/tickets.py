"""What is done with tickets at the command line: by way of Redis, not of the web process."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import cache

import typer

from knossosd import tasks
from knossosd.cli.display import moment, print_table, printable
from knossosd.cli.exits import Exit, Stop
from knossosd.cli.reach import insist_on_redis, insist_on_writes
from knossosd.tickets import ending, events
from knossosd.tickets.record import State, Ticket
from knossosd.tickets.store import Tickets


def show_all(*, dead: bool, as_json: bool) -> None:
    """Print the tickets, oldest first; only the `dead` ones if wanted."""
    tickets = _tickets()
    found = tickets.dead() if dead else tickets.all()
    if as_json:
        typer.echo(json.dumps([_as_json(ticket) for ticket in found]))
        return
    now = tickets.now()
    print_table(("ticket", "state", "age", "tries", "mod", "reason"), [_row(ticket, now) for ticket in found])


def show(number: int, *, as_json: bool) -> None:
    """Print one ticket and its log."""
    found = _tickets().get(number)
    if found is None:
        raise Stop(Exit.FAILED, f"There is no ticket {number} (any more).")
    kept = events.past(_tickets().client, number).events
    lines = [event.arguments[0] for event in kept if event.name == "log_message"]
    if as_json:
        typer.echo(json.dumps({**_as_json(found), "log": lines}))
        return
    for name in ("title", "owner", "attempt", "vanished", "progress", "webhook"):
        typer.echo(printable(f"{name:10} {getattr(found, name)}"))
    typer.echo(f"{'state':10} {_state(found)} since {moment(found.time)}")
    for line in (*lines, *(f"{one['code']}: {one['message']}" for one in found.errors)):
        typer.echo(printable(f"  {line}"))


def cancel(numbers: Sequence[int]) -> None:
    """Call conversions off, whether they wait or run."""

    def call_off(ticket: Ticket) -> bool:
        ended = ending.cancel(_tickets(), ticket)
        tasks.see_to_deliveries([ended])
        return ended is not None

    _for_each(numbers, call_off, "cancelled", "has ended already")


def retry(numbers: Sequence[int]) -> None:
    """Let tickets that failed through the server's fault be converted once more."""
    if not numbers:
        raise Stop(Exit.INVALID, "Name the tickets, or say --all.")

    def try_again(ticket: Ticket) -> bool:
        waits = _tickets().retry(ticket)
        if waits:
            tasks.convert(ticket.number)
        return waits

    _for_each(numbers, try_again, "waits again", "has not failed through the server's fault")


def retry_all() -> None:
    """Let all of them be converted once more."""
    if dead := _tickets().dead():
        retry([ticket.number for ticket in dead])


def remove(numbers: Sequence[int]) -> None:
    """Forget tickets and all about them; running conversions stop."""

    def forget(ticket: Ticket) -> bool:
        ending.remove(_tickets(), ticket)
        return True

    _for_each(numbers, forget, "removed", "")


@cache
def _tickets() -> Tickets:
    """The tickets, when Redis answers at once: an operator has no time to wait for it."""
    insist_on_redis()
    return tasks.tickets()


def _for_each(numbers: Sequence[int], act: Callable[[Ticket], bool], done: str, not_done: str) -> None:
    """Act on each ticket and say what came of it; the verb fails when one could not be acted on."""
    insist_on_writes()
    failed = False
    for number in numbers:
        found = _tickets().get(number)
        acted = found is not None and act(found)
        typer.echo(f"{number} {done if acted else 'is not known' if found is None else not_done}")
        failed |= not acted
    if failed:
        raise typer.Exit(Exit.FAILED)


def _row(ticket: Ticket, now: float) -> tuple[str, ...]:
    age = f"{(now - ticket.created) / 60:.0f} min"
    return str(ticket.number), _state(ticket), age, str(ticket.attempt), ticket.title, _reason(ticket)


def _state(ticket: Ticket) -> str:
    if ticket.state is not State.DONE:
        return ticket.state.value
    return "DONE" if ticket.success else "FAILED"


def _reason(ticket: Ticket) -> str:
    return ", ".join(dict.fromkeys(error["code"] for error in ticket.errors))


def _as_json(ticket: Ticket) -> dict[str, object]:
    """All of the record but the token, which is the submitter's."""
    fields = asdict(ticket)
    del fields["token"]
    return fields
