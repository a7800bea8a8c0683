"""The two queues and their tasks: `huey` converts, `upkeep` delivers webhooks, finishes uploads and does what recurs.

    huey_consumer knossosd.tasks.huey -k process     conversions, each in a process of its own
    huey_consumer knossosd.tasks.upkeep -k thread    never waits behind a conversion

The queue carries a ticket's number and nothing else; what is to be done stands in the ticket. Huey takes a message off
the queue before it runs it and forgets it when the worker dies, so the lease of the ticket and the reaper, not Huey,
see to it that every ticket ends. Any number of `upkeep` consumers may run, on several hosts: what recurs is put into
their queue by one of them each time, and harms nothing when it is done twice at once all the same. No task waits for a
site: couriers do, so nothing in the queue of `upkeep` stands behind a webhook.
"""

import logging
import sys
import threading
import time
from collections.abc import Iterable
from functools import cache
from urllib.parse import urlsplit

import redis
from huey import crontab

from knossosd import logs
from knossosd import settings as settings_module
from knossosd.consumers import Queue
from knossosd.conversion import tidying, verification
from knossosd.conversion.busy import Busy
from knossosd.conversion.errand import Errand
from knossosd.conversion.http import WebClient
from knossosd.conversion.observer import Cancelled
from knossosd.conversion.previews import Previews
from knossosd.conversion.store import Store
from knossosd.conversion.toolbox import Toolbox
from knossosd.converting import INTERNAL, Converter
from knossosd.couriers import Couriers
from knossosd.faults import InputFault, RemoteFault
from knossosd.finishing import Finisher
from knossosd.repo.names import examples
from knossosd.settings import HOUR, MINUTE
from knossosd.tickets import webhooks
from knossosd.tickets.chunked import ChunkedUploads
from knossosd.tickets.connection import connect, connect_once
from knossosd.tickets.ending import Ended
from knossosd.tickets.execution import Execution
from knossosd.tickets.leases import SharedLeases
from knossosd.tickets.outbox import HOLD, DeliveryState, Outbox
from knossosd.tickets.quota import UploadQuota
from knossosd.tickets.reaper import expire_old, mend_indexes, reap, unheard
from knossosd.tickets.statistics import Statistics, StoreSize
from knossosd.tickets.store import Tickets
from knossosd.tickets.wake import Wake

log = logging.getLogger(__name__)

try:
    settings = settings_module.current()
except settings_module.SettingsError as error:
    logs.set_up("consumer")
    log.critical("%s", error)
    sys.exit(2)

stopping = Errand()
"""What takes long in this process is a part of it: it is called off when the consumer is about to end."""

FINISHERS = 2
"""Uploads in parts that are finished at the same time; each takes one of the threads of `upkeep`."""

_finishing = threading.BoundedSemaphore(FINISHERS)

_sweeping = threading.Lock()
"""A disk that hangs would else take one thread of `upkeep` after the other, and none would look after tickets."""

huey = Queue("knossosd.convert", "worker", settings)
upkeep = Queue("knossosd.upkeep", "upkeep", settings)


@huey.task(name="convert")
def convert(number: int) -> None:
    """Convert the document of a waiting ticket and record the outcome."""
    execution = Execution.claim(tickets(), number)
    if execution is None:
        log.info("there is nothing to claim of ticket %d", number)
        return
    try:
        with execution:
            _convert(execution)
    except KeyboardInterrupt:  # the consumer has to stop before the conversion is through
        try:
            if execution.hand_back("The server restarts. The conversion will start again."):
                convert(number)
        except redis.RedisError as error:
            log.warning("ticket %d goes on when upkeep has looked: %s", number, error)
        raise


def _convert(execution: Execution) -> None:
    """Convert, and end the execution in one way or another."""
    number = execution.ticket.number
    try:
        outcome, ended = _converter().conclude(execution)
    except Cancelled:
        log.info("ticket %d is not ours any more: it was called off, removed, or taken over", number)
        return
    except redis.RedisError:  # the mod is not to blame, and nobody knows what was recorded and what not
        log.exception("Redis was away for too long, ticket %d waits again", number)
        if execution.hand_back("The database was away for too long. The conversion will start again."):
            convert(number)
        return
    for error in outcome.errors:
        log.info("ticket %d failed: %s", number, error)
    if outcome.result is not None:
        log.info("ticket %d succeeded", number)
    see_to_deliveries([ended])


@huey.task(name="preview")
def preview(sha256: str, filename: str) -> None:
    """Read an upload for whoever drafts a document from it. One that gets lost is made when somebody asks again."""
    previews = Previews.from_settings(settings)
    if previews:
        previews.make(sha256, filename, _toolbox())


@upkeep.task(name="deliver")
def deliver(delivery_id: str) -> None:
    """Have an attempt made to tell a site that its ticket is done, when one is due."""
    delivery = outbox().get(delivery_id)
    if delivery:
        couriers.send(delivery_id, urlsplit(delivery.url).netloc)


def attempt_delivery(delivery_id: str) -> None:
    """Make the attempt, unless somebody else does or it is not due any more."""
    delivery = outbox().take(delivery_id)
    if delivery is None:
        return
    with logs.about(delivery.ticket):
        try:
            answer = webhooks.deliver(WebClient.for_webhooks(settings), delivery)
        except (InputFault, RemoteFault) as fault:
            log.warning("attempt %d of the webhook of ticket %d failed: %s", delivery.attempts, delivery.ticket, fault)
            # Of what may not be asked, or is gone, another attempt cannot make anything else.
            state = DeliveryState.WAITING if isinstance(fault, RemoteFault) else DeliveryState.GIVEN_UP
            after = fault.after if isinstance(fault, Busy) else 0.0
            outbox().note(delivery, str(fault), state=state, after=after)
            return
        except Exception:  # the border: what is not noted would be tried again and again, without an end
            log.exception("attempt %d of the webhook of ticket %d failed", delivery.attempts, delivery.ticket)
            outbox().note(delivery, INTERNAL.message, state=DeliveryState.WAITING)
            return
        outbox().note(delivery, answer.value, state=DeliveryState.DELIVERED)
        log.info("attempt %d of the webhook of ticket %d: %s", delivery.attempts, delivery.ticket, answer.value)
        if answer is webhooks.Answer.CANCELLED:
            tickets().forget(delivery.ticket, delivery.id)


couriers = Couriers(attempt_delivery)


@upkeep.recurring("reap", every=MINUTE)
def look_after_tickets() -> None:
    """See to it that every ticket goes on or ends, and that every webhook is delivered."""
    mend_indexes(tickets())
    waiting, failed = reap(tickets())
    for number in waiting:
        log.warning("the worker of ticket %d vanished, the ticket waits again", number)
    messages = huey.serializer.readable(huey.storage.enqueued_items())
    heard = {number for message in messages for number in message.args if isinstance(number, int)}
    for number in unheard(tickets(), heard):
        convert(number)
    ended = [*failed, *expire_old(tickets())]
    for one in ended:
        log.warning("ticket %d ended: %s", one.ticket, one.code)
    see_to_deliveries(ended)
    for delivery_id in outbox().due():
        deliver(delivery_id)


@upkeep.recurring("sample", every=MINUTE)
def sample() -> None:
    """Note how many tickets wait and how many workers live, for the plots of the last day."""
    _statistics().sample()


@upkeep.recurring("sweep", every=10 * MINUTE)
def sweep() -> None:
    """Remove left-over work files, uploads that nobody used, and what need not be remembered; note how much stays.

    One thread does it, also when that takes longer than until the next time.
    """
    if not _sweeping.acquire(blocking=False):
        log.warning("the sweep before this one is not over: is the disk slow, or gone?")
        return
    try:
        outbox().trim()
        for what, gone in tidying.tidy(settings, tickets().documents).items():
            if gone:
                size, paths = sum(one.size for one in gone), examples([str(one.path) for one in gone])
                log.info("removed %d %s, %d bytes: %s", len(gone), what, size, paths)
        _statistics().note_store(StoreSize(*Store(settings.store_path).extent()))
    except OSError as error:
        log.error("what does not stay could not be removed: %s", error)
    finally:
        _sweeping.release()


@upkeep.recurring("verify", every=20 * HOUR, during=crontab(hour="3", minute="17-59"))
def verify() -> None:
    """Read a part of the mirror again, and repair what is damaged."""
    with stopping.limited(verification.NIGHT, Cancelled) as errand:
        leases = _leases()
        mirror = verification.Verification.from_settings(settings, leases, errand, rest=time.sleep)
        if mirror is None or not settings.verify_size:
            return
        try:
            for damage in mirror.run(settings.verify_size):
                log.error("%s", damage)
        except verification.UnderWay:
            log.info("the mirror is being verified already")
        except OSError as error:
            log.error("the mirror cannot be verified: %s", error)
        else:
            log.info("verified %d published files, %d bytes", mirror.examined, mirror.reader.size)


@upkeep.task(name="finish_uploads")
def finish_uploads() -> None:
    """Finish the uploads in parts that wait for it, unless enough threads do that already and will see them too."""
    finisher = Finisher.from_settings(settings, chunked(), quota(), stopping.check)
    if finisher and _finishing.acquire(blocking=False):
        try:
            finisher.run()
        finally:
            _finishing.release()


@upkeep.recurring("look_after_uploads", every=MINUTE)
def look_after_uploads() -> None:
    """See to it that uploads in parts are finished, whoever was killed over them."""
    if chunked().finishing():
        finish_uploads()


@upkeep.on_shutdown(name="stop")
def stop() -> None:
    """Worker threads that have nothing to do end first: they tell the one that is verifying, and await the couriers."""
    stopping.call_off()
    couriers.end(settings.webhook_timeout + HOLD)


def see_to_deliveries(ended: Iterable[Ended | None]) -> None:
    """Have the webhooks of tickets that have ended delivered now, rather than when `upkeep` looks next."""
    for one in ended:
        if one and one.delivery:
            deliver(one.delivery)


wake = Wake(convert, see_to_deliveries, preview, finish_uploads, again=deliver)


@cache
def tickets() -> Tickets:
    """The tickets, over a connection of this process."""
    return Tickets(connect(settings, "worker"), settings)


@cache
def outbox() -> Outbox:
    """The outbox of webhooks, over the same connection, and a quick one for those who make attempts."""
    return Outbox(tickets().client, settings.webhook_timeout, connect_once(settings, "outbox"))


@cache
def _statistics() -> Statistics:
    return Statistics(tickets().client)


@cache
def chunked() -> ChunkedUploads:
    """The uploads in parts, over the same connection."""
    return ChunkedUploads(tickets().client, settings)


@cache
def quota() -> UploadQuota:
    """What may be uploaded, over the same connection."""
    return UploadQuota(tickets().client, settings.upload_quota)


@cache
def _leases() -> SharedLeases:
    return SharedLeases(tickets().client, connect_once(settings, "leases"), settings.lease_time)


@cache
def _toolbox() -> Toolbox:
    return Toolbox.from_settings(settings, _leases())


@cache
def _converter() -> Converter:
    return Converter(tickets(), _toolbox())
