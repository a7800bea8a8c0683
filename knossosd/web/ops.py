"""Whether this server is well, for those who watch over it and for load balancers. Nothing secret is told."""

import json
from typing import Any

import bottle
import gevent
import redis
from bottle import HTTPResponse

from knossosd.settings import Settings
from knossosd.tickets.connection import GLANCE, connect_once
from knossosd.tickets.workers import living
from knossosd.web.disk import free_disk

Check = dict[str, Any]


def install(app: bottle.Bottle, settings: Settings) -> None:
    """Add the routes `/healthz`, of this process, and `/readyz`, of all that it takes to convert."""
    readiness = _Readiness(settings)
    app.get("/healthz", callback=lambda: {"alive": True})
    app.get("/readyz", callback=readiness.answer)


class _Readiness:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._client = connect_once(settings, "ready")
        self._looking: gevent.Greenlet[..., int] | None = None

    def answer(self) -> HTTPResponse:
        """Whether a document that is submitted now would be converted, and if not, what is amiss."""
        checks = {**self._redis_and_workers(), "disk": self._disk()}
        ready = all(check["ok"] for check in checks.values())
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        return HTTPResponse(json.dumps({"ready": ready, "checks": checks}), 200 if ready else 503, headers)

    def _redis_and_workers(self) -> dict[str, Check]:
        """Who lives is known by Redis alone."""
        try:
            workers = sum(process.kind == "worker" for process in living(self._client))
        except redis.RedisError:
            return {"redis": {"ok": False}, "workers": {"ok": False, "living": None}}
        return {"redis": {"ok": True}, "workers": {"ok": workers > 0, "living": workers}}

    def _disk(self) -> Check:
        """A disk that has gone away must cost one thread, and not one for each who asks."""
        if self._looking is None or self._looking.ready():
            self._looking = gevent.spawn(free_disk, self._settings)
        self._looking.join(GLANCE)
        free = self._looking.value
        return {"ok": free is not None and free >= self._settings.min_free_disk, "free": free}
