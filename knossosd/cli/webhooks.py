"""What is done with webhook deliveries at the command line."""

import json
from dataclasses import asdict

import typer

from knossosd import tasks
from knossosd.cli.display import moment, print_table
from knossosd.cli.exits import Exit, Stop
from knossosd.cli.reach import insist_on_redis, insist_on_writes
from knossosd.tickets.outbox import Delivery


def show_all(*, as_json: bool) -> None:
    """Print the deliveries that are remembered, oldest first."""
    insist_on_redis()
    found = tasks.outbox().all()
    if as_json:
        shown = [{name: value for name, value in asdict(one).items() if name != "token"} for one in found]
        typer.echo(json.dumps(shown))
        return
    print_table(("delivery", "ticket", "since", "state", "tries", "last outcome"), map(_row, found))


def _row(delivery: Delivery) -> tuple[str, ...]:
    since, outcome = moment(delivery.created), delivery.log[-1]["outcome"] if delivery.log else ""
    return delivery.id, str(delivery.ticket), since, delivery.state, str(delivery.attempts), outcome


def redeliver(delivery: str) -> None:
    """Make a delivery once more, whatever became of it."""
    insist_on_writes()
    if not tasks.outbox().redeliver(delivery):
        raise Stop(Exit.FAILED, f"There is no delivery {delivery} (any more).")
    tasks.deliver(delivery)
    typer.echo(f"{delivery} is due, now or when the attempt that is under way is over")
