"""Verifying the mirror, for the operator."""

import json
import math

import typer

from knossosd.cli.exits import Exit, Stop
from knossosd.conversion.errand import Errand
from knossosd.conversion.leases import LocalLeases
from knossosd.conversion.verification import Damage, UnderWay, Verification
from knossosd.settings import Settings


def run(settings: Settings, *, everything: bool, repair: bool, as_json: bool) -> None:
    """Verify a night's part of the mirror, or everything, and print what is damaged; without `repair` only that."""
    verification = Verification.from_settings(settings, LocalLeases(), Errand(), rest=lambda _: None)
    if verification is None:
        raise Stop(Exit.INVALID, "The settings name no mirror that could be verified.")
    if not repair:
        verification = verification.without_repair()
    damages: list[Damage] = []
    try:
        for damage in verification.run(math.inf if everything else settings.verify_size):
            damages.append(damage)
            if not as_json:
                typer.echo(str(damage))
    except UnderWay:
        raise Stop(Exit.FAILED, "The mirror is being verified already.") from None
    found = {"examined": verification.examined, "bytes": verification.reader.size}
    if as_json:
        typer.echo(json.dumps({**found, "damaged": [damage.as_json() for damage in damages]}))
    else:
        repaired = sum(damage.outcome.is_repaired for damage in damages)
        typer.echo(
            f"Verified {found['examined']} published files, {found['bytes']} bytes: "
            f"{len(damages)} damaged, {repaired} repaired."
        )
    if damages:
        raise typer.Exit(Exit.FAILED)
