"""Verbs about tickets, for operators: they speak to Redis, not to the web process, and work without it."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from knossosd.cli.exits import Exit, Stop
from knossosd.tickets import ending, events
from knossosd.tickets.record import State, Ticket
from knossosd.tickets.store import Tickets
from knossosd.tickets.wake import Wake

app = typer.Typer(help="Look at tickets; cancel, retry and remove them.", no_args_is_help=True)

Numbers = Annotated[list[int], typer.Argument(metavar="TICKET…", help="Numbers of tickets.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


@app.command("list")
def show_all(
    dead: Annotated[bool, typer.Option("--dead", help="Only those that failed through the server's fault.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the tickets, oldest first."""
    tickets, _ = _open()
    found = tickets.dead() if dead else tickets.all()
    if as_json:
        typer.echo(json.dumps([_as_json(ticket) for ticket in found]))
        return
    table = Table("ticket", "state", "age", "tries", "mod", "reason", box=None, pad_edge=False)
    for ticket in found:
        age = f"{(tickets.now() - ticket.created) / 60:.0f} min"
        table.add_row(str(ticket.number), _state(ticket), age, str(ticket.attempt), ticket.title, _reason(ticket))
    Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table)


@app.command()
def show(ticket: Annotated[int, typer.Argument(help="The ticket's number.")], as_json: AsJson = False) -> None:
    """Show one ticket and its log."""
    tickets, _ = _open()
    found = _find(tickets, ticket)
    kept = events.past(tickets.client, ticket).events
    lines = [event.arguments[0] for event in kept if event.name == "log_message"]
    if as_json:
        typer.echo(json.dumps({**_as_json(found), "log": lines}))
        return
    for name in ("title", "owner", "attempt", "vanished", "progress", "webhook"):
        typer.echo(f"{name:10} {getattr(found, name)}")
    typer.echo(f"{'state':10} {_state(found)} since {time.ctime(found.time)}")
    for line in (*lines, *(f"{one['code']}: {one['message']}" for one in found.errors)):
        typer.echo(f"  {line}")


@app.command()
def cancel(numbers: Numbers) -> None:
    """Call conversions off, whether they wait or run."""

    def call_off(tickets: Tickets, ticket: Ticket, wake: Wake) -> bool:
        ended = ending.cancel(tickets, ticket)
        wake.courier([ended])
        return ended is not None

    _for_each(numbers, call_off, "cancelled", "has ended already")


@app.command()
def retry(
    numbers: Annotated[list[int] | None, typer.Argument(metavar="TICKET…", help="Numbers of tickets.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that failed through the server's fault.")] = False,
) -> None:
    """Let tickets that failed through the server's fault be converted once more."""

    def try_again(tickets: Tickets, ticket: Ticket, wake: Wake) -> bool:
        waits = tickets.retry(ticket.number)
        if waits:
            wake.worker(ticket.number)
        return waits

    chosen = [ticket.number for ticket in _open()[0].dead()] if every else numbers or []
    _for_each(chosen, try_again, "waits again", "has not failed through the server's fault")


@app.command()
def remove(numbers: Numbers) -> None:
    """Forget tickets and all about them; running conversions stop."""

    def forget(tickets: Tickets, ticket: Ticket, _wake: Wake) -> bool:
        tickets.remove(ticket.number)
        return True

    _for_each(numbers, forget, "removed", "")


def _for_each(numbers: Sequence[int], act: Callable[[Tickets, Ticket, Wake], bool], done: str, not_done: str) -> None:
    """Act on each ticket and say what came of it; the verb fails when one could not be acted on."""
    tickets, wake = _open()
    failed = False
    for number in numbers:
        found = tickets.get(number)
        acted = found is not None and act(tickets, found, wake)
        typer.echo(f"{number} {done if acted else 'is not known' if found is None else not_done}")
        failed |= not acted
    if failed:
        raise typer.Exit(Exit.FAILED)


def _open() -> tuple[Tickets, Wake]:
    from knossosd import tasks  # reads the settings, and ends with one sentence when they are wrong

    return tasks.tickets(), tasks.wake


def _find(tickets: Tickets, number: int) -> Ticket:
    found = tickets.get(number)
    if found is None:
        raise Stop(Exit.FAILED, f"There is no ticket {number} (any more).")
    return found


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
