"""What is done with webhook deliveries at the command line."""

import json
import time
from dataclasses import asdict

import typer
from rich.table import Table

from knossosd import tasks
from knossosd.cli.display import print_table
from knossosd.cli.exits import Exit, Stop
from knossosd.cli.reach import insist_on_redis


def show_all(*, as_json: bool) -> None:
    """Print the deliveries that are remembered, oldest first."""
    insist_on_redis()
    found = tasks.outbox().all()
    if as_json:
        shown = [{name: value for name, value in asdict(one).items() if name != "token"} for one in found]
        typer.echo(json.dumps(shown))
        return
    table = Table("delivery", "ticket", "since", "state", "tries", "last outcome", box=None, pad_edge=False)
    for one in found:
        outcome = one.log[-1]["outcome"] if one.log else ""
        table.add_row(one.id, str(one.ticket), time.ctime(one.created), one.state, str(one.attempts), outcome)
    print_table(table)


def redeliver(delivery: str) -> None:
    """Make a delivery once more, whatever became of it."""
    insist_on_redis()
    if not tasks.outbox().redeliver(delivery):
        raise Stop(Exit.FAILED, f"There is no delivery {delivery} (any more).")
    tasks.deliver(delivery)
    typer.echo(f"{delivery} is due now")
