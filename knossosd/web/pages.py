"""The pages for people, and the files that they need."""

from pathlib import Path
from typing import Any

import bottle
from bottle import HTTPResponse, SimpleTemplate, static_file

from knossosd import __version__
from knossosd.settings import Settings

HERE = Path(__file__).parent
CONTENT_SECURITY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: http:; "
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def install(app: bottle.Bottle, settings: Settings) -> None:
    """Add the routes."""
    templates = {path.stem: SimpleTemplate(path.read_text(encoding="utf-8")) for path in HERE.glob("templates/*.html")}

    def page(name: str, **values: Any) -> HTTPResponse:
        body = templates[name].render(version=__version__, **values)
        frame = templates["frame"].render(body=body, page=name, version=__version__)
        headers = {"Content-Type": "text/html; charset=UTF-8", "Content-Security-Policy": CONTENT_SECURITY}
        return HTTPResponse(frame, 200, headers)

    app.get("/", callback=lambda: page("front"))
    app.get("/converter", callback=lambda: page("converter"))
    app.get("/watch/<ticket:int>", callback=lambda ticket: page("watch", ticket=ticket))
    app.get("/tasks", callback=lambda: page("tasks", is_open=settings.open_monitor))
    app.get("/static/<name>", callback=_static)


def _static(name: str) -> HTTPResponse:
    kind = TYPES.get(Path(name).suffix, "application/octet-stream")
    # Other sites embed the client, so it must be theirs to load; and it must not grow old in their caches.
    headers = {"Access-Control-Allow-Origin": "*", "Cache-Control": "no-cache"}
    return static_file(name, root=str(HERE / "static"), mimetype=kind, headers=headers)
