"""The two queues and their tasks: `huey` converts, `upkeep` delivers webhooks and does what recurs.

    huey_consumer knossosd.tasks.huey -k process     conversions, each in a process of its own
    huey_consumer knossosd.tasks.upkeep -k thread    never waits behind a conversion

The queue carries a ticket's number and nothing else; what is to be done stands in the ticket. Huey takes a message off
the queue before it runs it and forgets it when the worker dies, so the lease of the ticket and the reaper, not Huey,
see to it that every ticket ends.
"""

import json
import logging
import sys
import threading
import time
from functools import cache

from huey import RedisHuey, crontab

from knossosd import logs
from knossosd import settings as settings_module
from knossosd.conversion import tidying, verification
from knossosd.conversion.http import WebClient
from knossosd.conversion.observer import Cancelled, Level
from knossosd.conversion.pipeline import Conversion
from knossosd.conversion.pipeline import convert as run_pipeline
from knossosd.conversion.toolbox import Toolbox
from knossosd.faults import Code, Finding, InputFault
from knossosd.repo.document import DocumentLimits, parse
from knossosd.repo.names import examples
from knossosd.tickets import webhooks
from knossosd.tickets.connection import connect, connection_pool
from knossosd.tickets.execution import Execution
from knossosd.tickets.leases import SharedLeases
from knossosd.tickets.reaper import reap
from knossosd.tickets.store import Tickets

log = logging.getLogger(__name__)
logs.set_up()

try:
    settings = settings_module.current()
except settings_module.SettingsError as error:
    sys.exit(f"knossosd: {error}")

stopping = threading.Event()
"""The consumer of this process is about to end."""

huey = RedisHuey("knossosd.convert", results=False, connection_pool=connection_pool(settings, "queue"))
upkeep = RedisHuey("knossosd.upkeep", results=False, connection_pool=connection_pool(settings, "queue"))


@huey.task(name="convert")
def convert(number: int) -> None:
    """Convert the document of a waiting ticket and record the outcome."""
    execution = Execution.claim(tickets(), number)
    if execution is None:
        log.info("ticket %d does not wait any more", number)
        return
    with execution:
        try:
            outcome = _converted(execution)
        except Cancelled:
            log.info("ticket %d was called off", number)
            return
        except KeyboardInterrupt:  # the consumer has to stop before the conversion is through
            execution.log(Level.WARNING, "The server restarts. The conversion will start again.")
            if execution.hand_back():
                convert(number)
            raise
        except Exception:  # the border: whatever went wrong, the ticket ends and the operator hears of it
            log.exception("the conversion of ticket %d failed", number)
            outcome = Conversion(None, (_internal(),), ())
        _record(execution, outcome)


@upkeep.task(name="deliver_webhook", retries=webhooks.RETRIES, retry_delay=webhooks.RETRY_DELAY, retry_backoff=2)
def deliver_webhook(number: int, url: str, token: str) -> None:
    """Tell the site at `url` that the ticket is done; on failure Huey tries again, later each time."""
    try:
        answer = webhooks.deliver(WebClient.for_webhooks(settings), number, url, token)
    except InputFault as fault:  # another try cannot help
        log.warning("the webhook of ticket %d is given up: %s", number, fault)
        return
    if answer is webhooks.Answer.CANCELLED:
        tickets().remove(number)


@upkeep.periodic_task(crontab(minute="*"), name="reap")
def reap_vanished() -> None:
    """Give the tickets of vanished workers to others."""
    waiting, failed = reap(tickets())
    for number in waiting:
        log.warning("the worker of ticket %d vanished, the ticket waits again", number)
        convert(number)
    for number in failed:
        log.error("the worker of ticket %d vanished too often, the ticket has failed", number)
        _announce(number)


@upkeep.periodic_task(crontab(minute="*/10"), name="sweep")
def sweep() -> None:
    """Remove left-over work files, uploads that nobody used, and what need not be remembered."""
    for what, gone in tidying.tidy(settings).items():
        if gone:
            size, paths = sum(one.size for one in gone), examples([str(one.path) for one in gone])
            log.info("removed %d %s, %d bytes: %s", len(gone), what, size, paths)


@upkeep.periodic_task(crontab(hour="3", minute="17"), name="verify")
def verify() -> None:
    """Read a part of the mirror again, and repair what is damaged."""
    deadline = time.monotonic() + verification.NIGHT

    def check() -> None:
        if stopping.is_set() or time.monotonic() > deadline:
            raise Cancelled

    leases = SharedLeases(tickets().client, settings.lease_time)
    mirror = verification.Verification.from_settings(settings, leases, check, rest=time.sleep)
    if mirror is None or not settings.verify_size:
        return
    try:
        for damage in mirror.run(settings.verify_size):
            log.error("%s", damage)
    except verification.Busy:
        log.info("the mirror is being verified already")
    else:
        log.info("verified %d published files, %d bytes", mirror.examined, mirror.reader.size)


@upkeep.on_shutdown(name="stop")
def stop() -> None:
    """The worker threads that have nothing to do end first, and tell the one that is verifying."""
    stopping.set()


@cache
def tickets() -> Tickets:
    """The tickets, over a connection of this process."""
    return Tickets(connect(settings, "worker"), settings)


@cache
def _toolbox() -> Toolbox:
    return Toolbox.from_settings(settings, SharedLeases(tickets().client, settings.lease_time))


def _converted(execution: Execution) -> Conversion:
    document = tickets().document(execution.ticket.number)
    if document is None:
        raise Cancelled
    try:
        reading = parse(document, DocumentLimits.from_settings(settings))
    except InputFault as fault:  # the settings' limits may have changed since it was submitted
        return Conversion(None, (fault.finding,), ())
    for warning in reading.warnings:
        execution.log(Level.WARNING, str(warning))
    toolbox = _toolbox() if execution.ticket.use_cache else _toolbox().starting_over()
    outcome = run_pipeline(reading.repo, toolbox=toolbox, observer=execution)
    return Conversion(outcome.document, outcome.errors, reading.warnings + outcome.warnings)


def _record(execution: Execution, outcome: Conversion) -> None:
    result = None
    if outcome.document is not None:
        result = json.dumps(outcome.document, separators=(",", ":"), allow_nan=False)
        execution.log(Level.INFO, "Done")
    for error in () if result else outcome.errors:
        log.info("ticket %d failed: %s", execution.ticket.number, error)
    if execution.finish(result=result, errors=outcome.errors, warnings=[one.as_json() for one in outcome.warnings]):
        _announce(execution.ticket.number)


def _announce(number: int) -> None:
    ticket = tickets().get(number)
    if ticket and ticket.webhook:
        deliver_webhook(number, ticket.webhook, ticket.token)


def _internal() -> Finding:
    return Finding(
        Code.INTERNAL,
        "The server failed in a way that it should not.",
        "This is not your mod's fault. The operator finds the details in the log of the worker.",
    )
