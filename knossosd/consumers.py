"""The consumers of the queues: Huey's own, but they log as we do, show that they live, and never work unsupervised.

A worker process that lost its consumer would go on taking tickets, and nobody could stop it. So it hands its ticket
back and ends. Huey's word for that is KeyboardInterrupt, wherever a worker is.
"""

import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import redis
from huey import RedisHuey, crontab
from huey.api import Task
from huey.consumer import Consumer, Scheduler, Worker
from huey.exceptions import HueyException

from knossosd import logs, parent, privileges
from knossosd.messages import JsonMessages
from knossosd.settings import Settings, SettingsError
from knossosd.tickets.connection import Outage, connect_once, connection_pool
from knossosd.tickets.turns import Turns
from knossosd.tickets.workers import Heartbeat

log = logging.getLogger(__name__)

LOOK = 5.0
"""Seconds between two looks whether it is time for what recurs."""

AT_ANY_TIME = crontab()

QUEUED, SCHEDULED, RECURRING = "reading the queue", "reading the schedule", "what recurs"
"""What a consumer cannot come to while Redis is away."""

REST = 1.0
"""Seconds between two tries to read the queue then."""


class Queue(RedisHuey):  # type: ignore[misc]
    """A queue, whose consumer is the program `program`. A task's first argument is a ticket if it is a number."""

    def __init__(self, name: str, program: str, settings: Settings) -> None:
        pool = connection_pool(settings, "queue")
        super().__init__(name, results=False, serializer=JsonMessages(), connection_pool=pool)
        self.program = program
        self.settings = settings
        self.heartbeat: Heartbeat | None = None
        self._periods: dict[str, float] = {}
        self._turns = Turns(connect_once(settings, "turns"))
        self._outages = {what: Outage(what) for what in (QUEUED, SCHEDULED, RECURRING)}

    def recurring(
        self, name: str, *, every: float, during: Callable[[datetime], bool] = AT_ANY_TIME
    ) -> Callable[[Callable[[], None]], Any]:
        """Let a function be the task `name` that one of all consumers does `every` so many seconds, at times (UTC) that
        `during` is true of."""
        self._periods[name] = every
        return self.periodic_task(during, name=name)  # type: ignore[no-any-return]

    def read_periodic(self, timestamp: datetime | None) -> list[Task]:
        """The recurring tasks that it is our turn to do, as far as Redis can say it; the rest has to wait.

        A turn is over when the last look before the next time begins, so nothing is done less often than it should.
        """
        ours = []
        try:
            for task in super().read_periodic(timestamp):
                if self._turns.take(task.name, self._periods[task.name] - LOOK):
                    ours.append(task)
                self._outages[RECURRING].end()
        except redis.RedisError as error:
            self._outages[RECURRING].tell(error)
        return ours

    def read_schedule(self, timestamp: datetime | None = None) -> list[Task]:
        """The tasks whose time has come. While Redis is away there are none; Huey would write a trace each second."""
        try:
            tasks: list[Task] = super().read_schedule(timestamp)
        except redis.RedisError as error:
            self._outages[SCHEDULED].tell(error)
            return []
        self._outages[SCHEDULED].end()
        return tasks

    def create_consumer(self, **options: Any) -> Consumer:
        """The consumer: from now on, this process is nothing else."""
        logs.set_up(self.program)
        logs.hide(self.settings.api_keys)
        try:
            privileges.begin(self.settings)
        except SettingsError as error:
            log.critical("%s", error)
            sys.exit(2)
        parent.end_with_supervisor(signal.SIGINT)
        return _Consumer(self, **options)

    def dequeue(self) -> Task | None:
        """The next task, for a worker that has a consumer. None when there is none for a while, or Redis is away."""
        if not _is_orphan():
            task = self._next_readable()
            if task is None or not _is_orphan():
                return task
            self.enqueue(task)
        raise KeyboardInterrupt

    def _next_readable(self) -> Task | None:
        """Huey would let the worker rest after each message that cannot be read, and write a trace each time that Redis
        does not answer."""
        while (data := self._next_message()) is not None:
            for message in self.serializer.readable([data]):
                try:
                    return self._registry.create_task(message)
                except HueyException as error:
                    log.warning("a message in the queue asks for what there is not: %s", error)
        return None

    def _next_message(self) -> bytes | None:
        """As Huey's storage does, which takes a server that stands still for an empty queue."""
        storage = self.storage
        try:
            popped: tuple[bytes, bytes] | None = storage.conn.brpop(storage.queue_key, timeout=storage.read_timeout)
        except redis.RedisError as error:
            self._outages[QUEUED].tell(error)
            time.sleep(REST)
            return None
        self._outages[QUEUED].end()
        return popped[1] if popped else None

    def execute(self, task: Task, timestamp: datetime | None = None) -> Any:
        """Do what the task says. What is logged meanwhile is about its ticket."""
        number = task.args[0] if task.args and isinstance(task.args[0], int) else None
        if self.heartbeat is None or not _is_child():
            with logs.about(number):
                return super().execute(task, timestamp)
        with logs.devoted_to(number), self.heartbeat.at_work(number):
            return super().execute(task, timestamp)

    def begin_heartbeat(self) -> None:
        """Show that this process lives."""
        self.heartbeat = Heartbeat(connect_once(self.settings, "heartbeat"), self.program)
        self.heartbeat.start()

    def end_heartbeat(self) -> None:
        """Show that it ends."""
        if self.heartbeat:
            self.heartbeat.stop()


class _Worker(Worker):  # type: ignore[misc]
    def initialize(self) -> None:
        _follow_consumer()
        super().initialize()
        if _is_child():
            self.huey.begin_heartbeat()

    def shutdown(self) -> None:
        super().shutdown()
        if _is_child():
            self.huey.end_heartbeat()


class _Scheduler(Scheduler):  # type: ignore[misc]
    periodic_task_seconds = LOOK

    def initialize(self) -> None:
        _follow_consumer()
        super().initialize()

    def loop(self, now: datetime | None = None) -> None:
        if _is_orphan():
            raise KeyboardInterrupt
        super().loop(now)


class _Consumer(Consumer):  # type: ignore[misc]
    worker_class = _Worker
    scheduler_class = _Scheduler

    def run(self) -> None:
        """Run until stopped. Worker processes show by themselves that they live, threads are of this process."""
        if self.environment.forks:
            super().run()
            return
        self.huey.begin_heartbeat()
        try:
            super().run()
        finally:
            self.huey.end_heartbeat()


def _is_child() -> bool:
    """Whether we are a process that the consumer forked, and not one of its threads."""
    return multiprocessing.parent_process() is not None


def _is_orphan() -> bool:
    consumer = multiprocessing.parent_process()
    return consumer is not None and os.getppid() != consumer.pid


def _follow_consumer() -> None:
    consumer = multiprocessing.parent_process()
    if consumer and consumer.pid:
        parent.end_with(consumer.pid, signal.SIGTERM)
