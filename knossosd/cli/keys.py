"""Verbs about API keys."""

import json
import time
from collections.abc import Callable
from typing import Annotated

import typer

from knossosd.cli.exits import Exit, Stop
from knossosd.keyring import EVERYTHING, Keyring, Scope, Unknown
from knossosd.settings import SettingsError, load, settings_file

app = typer.Typer(help="Draw, show, rotate and revoke API keys.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The key's name: who has it, or what for.")]


@app.command("list")
def show_all(as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")] = False) -> None:
    """List the keys: their names and scopes, never the keys themselves."""
    found = _keyring().all()
    if as_json:
        shown = [{"name": key.name, "scopes": sorted(key.scopes), "created": key.created or None} for key in found]
        typer.echo(json.dumps(shown))
        return
    for key in found:
        since = time.strftime("%Y-%m-%d", time.localtime(key.created)) if key.created else "in the settings"
        typer.echo(f"{key.name:24} {since:16} {' '.join(sorted(key.scopes))}")


@app.command()
def add(
    name: Name,
    scope: Annotated[list[Scope] | None, typer.Option(help="What it is good for; everything unless named.")] = None,
) -> None:
    """Draw a key and print it. It is not stored, and cannot be shown again."""
    _print(lambda keyring: keyring.add(name, scope or EVERYTHING))


@app.command()
def rotate(name: Name) -> None:
    """Draw a new key in place of an old one, and print it."""
    _print(lambda keyring: keyring.rotate(name))


@app.command()
def revoke(name: Name) -> None:
    """Let a key be good for nothing any more, at once."""
    try:
        _keyring().revoke(name)
    except Unknown as error:
        raise Stop(Exit.INVALID, str(error)) from None
    typer.echo(f"{name} is revoked")


def _print(draw: Callable[[Keyring], str]) -> None:
    try:
        typer.echo(draw(_keyring()))
    except Unknown as error:
        raise Stop(Exit.INVALID, str(error)) from None


def _keyring() -> Keyring:
    try:
        return Keyring.from_settings(load(settings_file()))
    except SettingsError as error:
        raise Stop(Exit.INVALID, str(error)) from None
