"""The verbs that come in groups: `tickets list`, `webhooks redeliver`, and so on.

As in app.py, what a verb needs is imported when it runs.
"""

from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]
KeyName = Annotated[str, typer.Argument(metavar="NAME", help="The key's name: who has it, or what for.")]
Number = Annotated[int, typer.Argument(metavar="TICKET", help="The ticket's number.")]
Numbers = Annotated[list[int], typer.Argument(metavar="TICKET…", help="Numbers of tickets.")]

tickets = typer.Typer(help="Look at tickets; cancel, retry and remove them.", no_args_is_help=True)
keys = typer.Typer(help="Draw, show, rotate and revoke API keys.", no_args_is_help=True)
webhooks = typer.Typer(help="Look at webhook deliveries, and make them once more.", no_args_is_help=True)


@tickets.command("list")
def list_tickets(
    dead: Annotated[bool, typer.Option("--dead", help="Only those that failed through the server's fault.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the tickets, oldest first."""
    from knossosd.cli import tickets as verbs

    verbs.show_all(dead=dead, as_json=as_json)


@tickets.command("show")
def show_ticket(ticket: Number, as_json: AsJson = False) -> None:
    """Show one ticket and its log."""
    from knossosd.cli import tickets as verbs

    verbs.show(ticket, as_json=as_json)


@tickets.command("cancel")
def cancel_tickets(numbers: Numbers) -> None:
    """Call conversions off, whether they wait or run."""
    from knossosd.cli import tickets as verbs

    verbs.cancel(numbers)


@tickets.command("retry")
def retry_tickets(
    numbers: Annotated[list[int] | None, typer.Argument(metavar="TICKET…", help="Numbers of tickets.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that failed through the server's fault.")] = False,
) -> None:
    """Let tickets that failed through the server's fault be converted once more."""
    from knossosd.cli import tickets as verbs

    if every and numbers:
        raise typer.BadParameter("Name the tickets, or say --all.")
    if every:
        verbs.retry_all()
    else:
        verbs.retry(numbers or [])


@tickets.command("remove")
def remove_tickets(numbers: Numbers) -> None:
    """Forget tickets and all about them; running conversions stop."""
    from knossosd.cli import tickets as verbs

    verbs.remove(numbers)


@webhooks.command("list")
def list_deliveries(as_json: AsJson = False) -> None:
    """List the deliveries of the last days, oldest first."""
    from knossosd.cli import webhooks as verbs

    verbs.show_all(as_json=as_json)


@webhooks.command("redeliver")
def redeliver(delivery: Annotated[str, typer.Argument(help="The delivery's id.")]) -> None:
    """Make a delivery once more, whatever became of it; it keeps its id."""
    from knossosd.cli import webhooks as verbs

    verbs.redeliver(delivery)


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys: their names and scopes, never the keys themselves."""
    from knossosd.cli import keys as verbs

    verbs.show_all(as_json=as_json)


@keys.command("add")
def add_key(
    name: KeyName,
    scope: Annotated[list[str] | None, typer.Option(help="submit, upload or monitor; everything unless named.")] = None,
) -> None:
    """Draw a key and print it. It is not stored, and cannot be shown again."""
    from knossosd.cli import keys as verbs

    verbs.add(name, scope or [])


@keys.command("rotate")
def rotate_key(name: KeyName) -> None:
    """Draw a new key in place of an old one, and print it."""
    from knossosd.cli import keys as verbs

    verbs.rotate(name)


@keys.command("revoke")
def revoke_key(name: KeyName) -> None:
    """Let a key be good for nothing any more, at once."""
    from knossosd.cli import keys as verbs

    verbs.revoke(name)
