"""Whether this server is well, for those who watch over it and for load balancers. Nothing secret is told."""

import json
from typing import Any

import bottle
import redis
from bottle import HTTPResponse

from knossosd.settings import Settings
from knossosd.tickets.connection import connect_once, refusal_of_writes
from knossosd.tickets.workers import living
from knossosd.web.disk import Disk

Check = dict[str, Any]


def install(app: bottle.Bottle, settings: Settings, disk: Disk) -> None:
    """Add the routes `/healthz`, of this process, and `/readyz`, of all that it takes to convert."""
    readiness = _Readiness(settings, disk)
    app.get("/healthz", callback=lambda: {"alive": True})
    app.get("/readyz", callback=readiness.answer)


class _Readiness:
    def __init__(self, settings: Settings, disk: Disk) -> None:
        self._min_free_disk = settings.min_free_disk
        self._disk = disk
        self._client = connect_once(settings, "ready")

    def answer(self) -> HTTPResponse:
        """Whether a document that is submitted now would be converted, and if not, what is amiss."""
        checks = {**self._redis_and_workers(), "disk": self._room()}
        ready = all(check["ok"] for check in checks.values())
        headers = {"Content-Type": "application/json", "Cache-Control": "no-store"}
        return HTTPResponse(json.dumps({"ready": ready, "checks": checks}), 200 if ready else 503, headers)

    def _redis_and_workers(self) -> dict[str, Check]:
        """Who lives is known by Redis alone. One that takes nothing in is of no use."""
        try:
            takes_writes = refusal_of_writes(self._client) is None
            workers = sum(process.kind == "worker" for process in living(self._client))
        except redis.RedisError:
            return {"redis": {"ok": False}, "workers": {"ok": False, "living": None}}
        return {"redis": {"ok": takes_writes}, "workers": {"ok": workers > 0, "living": workers}}

    def _room(self) -> Check:
        free = self._disk.free()
        return {"ok": free is not None and free >= self._min_free_disk, "free": free}
