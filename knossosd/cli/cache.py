"""What is remembered of earlier conversions, and what does not stay, for the operator."""

import json
from collections.abc import Iterable

import redis
import typer

from knossosd.conversion import tidying
from knossosd.conversion.disposable import Disposable
from knossosd.conversion.memory import Memory
from knossosd.conversion.uploads import Documents
from knossosd.settings import Settings
from knossosd.tickets.connection import connect_once, greet, reason
from knossosd.tickets.store import Tickets


def show(settings: Settings, as_json: bool) -> None:
    """Print how many records and unpublished archives there are, and their bytes."""
    memory = Memory.from_settings(settings)
    found = {"records": _sum(memory.records()), "unpublished archives": _sum(memory.contents())}
    if as_json:
        typer.echo(json.dumps({**found, "limit": memory.max_size}))
        return
    for what, one in found.items():
        typer.echo(f"{what:21} {one['number']:8}  {one['bytes'] / 1e6:10.1f} MB")


def forget(settings: Settings) -> None:
    """Forget all of it, and print what went."""
    _tell("Removed", {"records and unpublished archives": Memory.from_settings(settings).clear()})


def would_forget(settings: Settings) -> None:
    """Print what `forget` would remove."""
    _tell("Would remove", {"records and unpublished archives": Memory.from_settings(settings).forgettable()})


def tidy(settings: Settings) -> None:
    """Remove what does not stay, and print what went."""
    _tell("Removed", tidying.tidy(settings, _documents(settings)))


def would_tidy(settings: Settings) -> None:
    """Print what `tidy` would remove."""
    _tell("Would remove", tidying.superfluous(settings, _documents(settings)))


def _documents(settings: Settings) -> Documents | None:
    """What there is to convert, None when Redis does not say it: room may be wanted just because that has none."""
    client = connect_once(settings, "command")
    try:
        greet(client)
    except redis.RedisError as error:
        typer.echo(f"Redis cannot be reached, so no upload is removed: {reason(error)}.", err=True)
        return None
    return Tickets(client, settings).documents


def _tell(verb: str, found: tidying.Found) -> None:
    for disposables in found.values():
        for one in disposables:
            typer.echo(f"{one.size:14}  {one.path}")
    for what, disposables in found.items():
        total = _sum(disposables)
        typer.echo(f"{verb} {total['number']} {what}: {total['bytes']} bytes.")


def _sum(disposables: Iterable[Disposable]) -> dict[str, int]:
    sizes = [one.size for one in disposables]
    return {"number": len(sizes), "bytes": sum(sizes)}
