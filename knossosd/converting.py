"""Converting the ticket that a worker holds: from its document to the recorded end."""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import redis

from knossosd.conversion.observer import Cancelled, Level
from knossosd.conversion.pipeline import Conversion, converting
from knossosd.conversion.toolbox import Toolbox
from knossosd.faults import Code, Finding, InputFault
from knossosd.repo.document import DocumentLimits, parse
from knossosd.tickets.connection import is_passing
from knossosd.tickets.ending import Ended, Outcome
from knossosd.tickets.execution import Execution
from knossosd.tickets.store import Tickets

log = logging.getLogger(__name__)

INTERNAL = Finding(
    Code.INTERNAL,
    "The server failed in a way that it should not.",
    "This is not your mod's fault. The operator finds the details in the log of the worker.",
)

LOST = Finding(
    Code.INTERNAL,
    "The server has lost the document.",
    "This is not your mod's fault. Submit the document again.",
)


@dataclass(frozen=True, slots=True)
class Converter:
    """Whoever converts `tickets`, with what is in the `toolbox`."""

    tickets: Tickets
    toolbox: Toolbox

    def conclude(self, execution: Execution) -> tuple[Outcome, Ended]:
        """Convert, and record the outcome. Raises `Cancelled`, also when the outcome came too late to be recorded, and
        `RedisError` when it may be recorded later."""
        concluded = None
        try:
            with self._converting(execution) as conversion:
                concluded = _end(execution, _outcome(conversion))
        except Cancelled:
            raise
        except Exception as error:  # the border: whatever went wrong, the ticket ends and the operator hears of it
            if isinstance(error, redis.RedisError) and is_passing(error):
                raise
            log.exception("the conversion of ticket %d failed", execution.ticket.number)
        return concluded or _end(execution, Outcome(errors=(INTERNAL,)))

    @contextmanager
    def _converting(self, execution: Execution) -> Iterator[Conversion]:
        document = self.tickets.document(execution.ticket.number)
        if document is None:
            yield Conversion(None, (LOST,), ())
            return
        try:
            reading = parse(document, DocumentLimits.from_settings(self.tickets.settings))
        except InputFault as fault:  # the settings' limits may have changed since it was submitted
            yield Conversion(None, (fault.finding,), ())
            return
        for warning in reading.warnings:
            execution.log(Level.WARNING, str(warning))
        toolbox = self.toolbox if execution.ticket.use_cache else self.toolbox.starting_over()
        with converting(reading.repo, toolbox=toolbox, observer=execution) as outcome:
            yield Conversion(outcome.document, outcome.errors, reading.warnings + outcome.warnings)


def _outcome(conversion: Conversion) -> Outcome:
    if conversion.document is None:
        return Outcome(errors=conversion.errors, warnings=conversion.warnings)
    result = json.dumps(conversion.document, separators=(",", ":"), allow_nan=False)
    return Outcome(result, warnings=conversion.warnings, last_line=(Level.INFO, "Done"))


def _end(execution: Execution, outcome: Outcome) -> tuple[Outcome, Ended]:
    ended = execution.finish(outcome)
    if ended is None:
        raise Cancelled
    return outcome, ended
