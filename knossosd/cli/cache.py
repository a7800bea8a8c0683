"""What is remembered of earlier conversions, for the operator."""

import json

import typer

from knossosd.conversion.memory import Memory, Remembered
from knossosd.settings import Settings


def show(settings: Settings, as_json: bool) -> None:
    """Print how many records and unpublished archives there are, and their bytes."""
    memory = Memory.from_settings(settings)
    found = {"records": _sum(memory.records()), "unpublished archives": _sum(memory.contents())}
    if as_json:
        typer.echo(json.dumps({**found, "limit": memory.max_size}))
        return
    for what, one in found.items():
        typer.echo(f"{what:21} {one['number']:8}  {one['bytes'] / 1e6:10.1f} MB")


def clear(settings: Settings) -> None:
    """Forget all of it."""
    typer.echo(f"Removed {len(Memory.from_settings(settings).clear())} files.")


def _sum(remembered: list[Remembered]) -> dict[str, int]:
    return {"number": len(remembered), "bytes": sum(one.size for one in remembered)}
