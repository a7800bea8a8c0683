"""The pages for people. Each has a template of its own name, inside the frame that all share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bottle
from bottle import HTTPResponse, SimpleTemplate

from knossosd import __version__
from knossosd.repo.document import json_schema
from knossosd.settings import Settings
from knossosd.web.assets import Assets
from knossosd.web.fields import parts

TEMPLATES = Path(__file__).parent / "templates"
CONTENT_SECURITY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' https: http: data:; "
    "connect-src 'self' ws: wss:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
NAVIGATION = (("/converter", "Convert"), ("/tasks", "Tasks"), ("/docs/document", "Docs"))
"""What the head of every page leads to."""

DOCS = (("/docs/document", "The repo document"), ("/docs/embed", "Embedding"))
"""The pages of the documentation, which lead to each other."""


def install(app: bottle.Bottle, settings: Settings) -> Callable[[int, str], HTTPResponse]:
    """Add the routes. Returns what makes the page of a refusal, from its status and its message."""
    assets = Assets()
    assets.install(app)
    page = Pages(assets).page
    app.get("/", callback=lambda: page("front", "knossosd: mods in, generated documents out"))
    rules = {
        "extensions": sorted(settings.upload_extensions) if settings.upload_path else [],
        "largest": settings.max_content_length,
        "largest_in_parts": settings.max_upload_size,
    }
    app.get("/converter", callback=lambda: page("converter", "Convert a mod", "submit.js", **rules))
    described = parts(json_schema())
    app.get("/docs/document", callback=lambda: page("document", "The repo document", parts=described))
    app.get("/watch/<ticket:int>", callback=lambda ticket: page("watch", "Conversion", "watching.js", ticket=ticket))
    app.get("/tasks", callback=lambda: page("tasks", "Tasks", "tasks.js", is_open=settings.open_monitor))
    app.get("/docs/embed", callback=lambda: page("embed", "Embed a conversion", "embed.js", server=_websocket_server()))

    def refusal(status: int, message: str) -> HTTPResponse:
        answer = page("refusal", "Not here", message=message)
        answer.status = status
        return answer

    return refusal


class Pages:
    """The templates, and the frame around them."""

    def __init__(self, assets: Assets) -> None:
        self._assets = assets
        self._templates = {
            path.stem: SimpleTemplate(path.read_text(encoding="utf-8")) for path in TEMPLATES.glob("*.html")
        }

    def page(self, name: str, title: str, module: str | None = None, **values: Any) -> HTTPResponse:
        """The page `name`, whose template gets `values`. `module` is the JavaScript module that brings it to life."""
        asset = self._assets.link
        frame = self._templates["frame"].render(
            body=self._templates[name].render(asset=asset, **values),
            title=title,
            module=module,
            asset=asset,
            version=__version__,
            navigation=NAVIGATION,
            docs=DOCS,
            here=bottle.request.path,
        )
        headers = {
            "Content-Type": "text/html; charset=UTF-8",
            "Content-Security-Policy": CONTENT_SECURITY,
            "Cache-Control": "no-cache",
        }
        return HTTPResponse(frame, 200, headers)


def _websocket_server() -> str:
    """This server's address as the browser that asks would have to name it to the embeddable client."""
    scheme, host = bottle.request.urlparts[:2]
    return f"{'wss' if scheme == 'https' else 'ws'}://{host}"
