"""Verbs about webhook deliveries, for operators."""

import json
import sys
import time
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from knossosd.cli.exits import Exit, Stop

app = typer.Typer(help="Look at webhook deliveries, and make them once more.", no_args_is_help=True)


@app.command("list")
def show_all(as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False) -> None:
    """List the deliveries of the last days, oldest first."""
    from knossosd import tasks

    found = tasks.outbox().all()
    if as_json:
        shown = [{name: value for name, value in asdict(one).items() if name != "token"} for one in found]
        typer.echo(json.dumps(shown))
        return
    table = Table("delivery", "ticket", "since", "state", "tries", "last outcome", box=None, pad_edge=False)
    for one in found:
        outcome = one.log[-1]["outcome"] if one.log else ""
        table.add_row(one.id, str(one.ticket), time.ctime(one.created), one.state, str(one.attempts), outcome)
    Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table)


@app.command()
def redeliver(delivery: Annotated[str, typer.Argument(help="The delivery's id.")]) -> None:
    """Make a delivery once more, whatever became of it; it keeps its id."""
    from knossosd import tasks

    if not tasks.outbox().redeliver(delivery):
        raise Stop(Exit.FAILED, f"There is no delivery {delivery} (any more).")
    tasks.deliver(delivery)
    typer.echo(f"{delivery} is due now")
