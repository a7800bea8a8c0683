"""What is done with API keys at the command line."""

import json
import time
from collections.abc import Callable, Sequence

import typer

from knossosd.cli.exits import Exit, Stop
from knossosd.keyring import EVERYTHING, Keyring, Scope, Unknown
from knossosd.settings import SettingsError, load, settings_file


def show_all(*, as_json: bool) -> None:
    """Print the names and scopes of all keys, never the keys themselves."""
    found = _keyring().all()
    if as_json:
        shown = [{"name": key.name, "scopes": sorted(key.scopes), "created": key.created or None} for key in found]
        typer.echo(json.dumps(shown))
        return
    for key in found:
        since = time.strftime("%Y-%m-%d", time.localtime(key.created)) if key.created else "in the settings"
        typer.echo(f"{key.name:24} {since:16} {' '.join(sorted(key.scopes))}")


def add(name: str, scopes: Sequence[str]) -> None:
    """Draw a key that is good for the `scopes`, or for everything when none is named, and print it."""
    unknown = set(scopes) - set(Scope)
    if unknown:
        raise Stop(Exit.INVALID, f"A scope is one of {', '.join(Scope)}, not {', '.join(sorted(unknown))}.")
    _print(lambda keyring: keyring.add(name, map(Scope, scopes) if scopes else EVERYTHING))


def rotate(name: str) -> None:
    """Draw a new key in place of an old one, and print it."""
    _print(lambda keyring: keyring.rotate(name))


def revoke(name: str) -> None:
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
