"""A ticket as everybody reads it."""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Unreadable(ValueError):
    """This is no record of a ticket: somebody has meddled with it."""


class State(StrEnum):
    """The states of a ticket, as the wire protocol names them."""

    WAITING = "WAITING"
    WORKING = "WORKING"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class Ticket:
    """The record of one conversion. Times are epoch seconds; `progress` is 0 to 1.

    `owner` names the key that submitted it, without giving it away. `use_cache` is false when everything is to be
    fetched and read anew. `attempt` counts the executions, `vanished` those whose worker was lost. `success`, `runtime`
    (seconds), `errors` and `warnings` (findings as JSON objects) and the id of its `ending`, which is also that of the
    webhook's delivery, belong to a ticket that is DONE.
    """

    number: int
    state: State
    time: float
    created: float
    title: str
    token: str
    owner: str = ""
    attempt: int = 0
    vanished: int = 0
    progress: float = 0.0
    text: str = ""
    webhook: str | None = None
    use_cache: bool = True
    question: str | None = None
    success: bool = False
    runtime: float = 0.0
    errors: tuple[dict[str, str], ...] = ()
    warnings: tuple[dict[str, str], ...] = ()
    ending: str = ""

    @classmethod
    def from_hash(cls, number: int, fields: dict[str, str]) -> "Ticket":
        """The ticket that Redis's hash `fields` describes. An older version may have written it: some of the fields
        may be missing. Raises `Unreadable`."""
        try:
            return cls._from_hash(number, fields)
        except (KeyError, ValueError, TypeError) as error:
            raise Unreadable(f"the record of ticket {number} cannot be read: {error!r}") from error

    @classmethod
    def _from_hash(cls, number: int, fields: dict[str, str]) -> "Ticket":
        return cls(
            number=number,
            state=State(fields["state"]),
            time=float(fields["time"]),
            created=float(fields["created"]),
            title=fields["title"],
            token=fields["token"],
            owner=fields.get("owner", ""),
            attempt=int(fields.get("attempt", 0)),
            vanished=int(fields.get("vanished", 0)),
            progress=float(fields.get("progress", 0)),
            text=fields.get("text", ""),
            webhook=fields.get("webhook") or None,
            use_cache=fields.get("use_cache") != "0",
            question=fields.get("question") or None,
            success=fields.get("success") == "1",
            runtime=float(fields.get("runtime", 0)),
            errors=_findings(fields.get("errors")),
            warnings=_findings(fields.get("warnings")),
            ending=fields.get("ending", ""),
        )


def _findings(text: str | None) -> tuple[dict[str, str], ...]:
    findings: list[Any] = json.loads(text) if text else []
    return tuple(findings)
