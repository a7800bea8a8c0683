"""Previews of uploads: what an archive holds, for a page that drafts a document from it. Workers make them."""

from typing import Any

import bottle
from bottle import HTTPResponse, request

from knossosd.conversion.previews import Previews
from knossosd.keyring import Keyring, Scope
from knossosd.repo.names import is_safe_component
from knossosd.settings import Settings
from knossosd.tickets.wake import Wake
from knossosd.web.access import key_of
from knossosd.web.answers import json_answer, refused
from knossosd.web.disk import in_thread
from knossosd.web.forms import FormError, read_form

MAX_FORM = 4096
"""Bytes of a form with a file name."""


def install(app: bottle.Bottle, settings: Settings, keyring: Keyring, wake: Wake) -> None:
    """Add the routes."""
    routes = _Previews(Previews.from_settings(settings), keyring, wake)
    app.post("/api/uploads/<sha256>/preview", callback=routes.make)
    app.get("/api/uploads/<sha256>/preview", callback=routes.find)


class _Previews:
    def __init__(self, previews: Previews | None, keyring: Keyring, wake: Wake) -> None:
        self.previews = previews
        self.keyring = keyring
        self.wake = wake

    def find(self, sha256: str) -> HTTPResponse:
        """The preview of an upload, if there is one yet, for whoever has a key that may upload."""
        previews = self._previews_of(sha256)
        if isinstance(previews, HTTPResponse):
            return previews
        return _answer(in_thread(previews.find, sha256))

    def make(self, sha256: str) -> HTTPResponse:
        """The same, but a worker makes one when there is none, or an error. `filename` is what the upload is called."""
        previews = self._previews_of(sha256)
        if isinstance(previews, HTTPResponse):
            return previews
        try:
            filename = read_form(request.environ, MAX_FORM).get("filename", "")
        except FormError as error:
            return refused(400, str(error))
        if not is_safe_component(str(filename)):
            return refused(400, "This file name cannot be used on every system.")
        preview = in_thread(previews.find, sha256)
        if preview is None or "error" in preview:
            in_thread(previews.forget, sha256)
            preview = None
            self.wake.reader(sha256, str(filename))
        return _answer(preview)

    def _previews_of(self, sha256: str) -> Previews | HTTPResponse:
        """The previews, when the upload is there and the key is good, or else the answer."""
        if not key_of(request.environ, self.keyring, Scope.UPLOAD):
            return HTTPResponse("Access denied", 403)
        if self.previews is None or not in_thread(self.previews.uploads.has, sha256):
            return refused(404, "There is no such upload (any more).")
        return self.previews


def _answer(preview: dict[str, Any] | None) -> HTTPResponse:
    return json_answer(200, {"ready": True, **preview}) if preview else json_answer(202, {"ready": False})
