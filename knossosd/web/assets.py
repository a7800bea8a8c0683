"""The files that pages need: ours, and Bootstrap's from its wheel; read and compressed once, and kept by browsers.

Pages name them below an edition that changes when any of them does, `/static/<edition>/<name>`, so browsers may keep
them for good, and modules that import each other by relative names are always of one edition. Foreign pages embed
`/static/converter.js` without an edition: that is asked for anew each time, and mostly found unchanged.
"""

import gzip
import hashlib
from pathlib import Path
from typing import NamedTuple

import bottle
from bootstrap_wrapper import get_bootstrap_css_dir
from bottle import HTTPResponse, request

OURS = Path(__file__).parent / "static"
BOOTSTRAP = get_bootstrap_css_dir() / "bootstrap.min.css"
TYPES = {
    ".css": "text/css; charset=UTF-8",
    ".js": "text/javascript; charset=UTF-8",
    ".svg": "image/svg+xml",
    ".ts": "text/plain; charset=UTF-8",
}
FOR_GOOD = "public, max-age=31536000, immutable"
ASK_AGAIN = "no-cache"
COMPRESSION = 9


class Asset(NamedTuple):
    """One file. `tag` changes with its content."""

    kind: str
    content: bytes
    compressed: bytes
    tag: str


class Assets:
    """All files below `/static`, as they were when the process started."""

    def __init__(self) -> None:
        paths = [path for path in (*OURS.iterdir(), BOOTSTRAP) if path.suffix in TYPES]
        self._assets = {path.name: _read(path) for path in sorted(paths)}
        tags = " ".join(f"{name}={asset.tag}" for name, asset in self._assets.items())
        self.edition = hashlib.sha256(tags.encode()).hexdigest()[:12]

    def install(self, app: bottle.Bottle) -> None:
        """Add the routes."""
        app.get("/static/<name>", callback=self._serve)
        app.get("/static/<edition>/<name>", callback=self._serve)

    def link(self, name: str) -> str:
        """Where pages find the file. Raises KeyError when there is none of this name."""
        if name not in self._assets:
            raise KeyError(name)
        return f"/static/{self.edition}/{name}"

    def _serve(self, name: str, edition: str | None = None) -> HTTPResponse:
        asset = self._assets.get(name)
        if asset is None:
            raise bottle.HTTPError(404)
        # A page of another edition, from before a restart, gets what there is, but may not keep it.
        headers = {
            "Content-Type": asset.kind,
            "Cache-Control": FOR_GOOD if edition == self.edition else ASK_AGAIN,
            "ETag": asset.tag,
            "Vary": "Accept-Encoding",
            "Access-Control-Allow-Origin": "*",  # other sites embed the client
        }
        if asset.tag in request.get_header("If-None-Match", ""):
            return HTTPResponse(status=304, headers=headers)
        if "gzip" in request.get_header("Accept-Encoding", ""):
            return HTTPResponse(asset.compressed, 200, {**headers, "Content-Encoding": "gzip"})
        return HTTPResponse(asset.content, 200, headers)


def _read(path: Path) -> Asset:
    content = path.read_bytes()
    # Weak, since it stands for both forms of the content.
    tag = f'W/"{hashlib.sha256(content).hexdigest()[:24]}"'
    return Asset(TYPES[path.suffix], content, gzip.compress(content, COMPRESSION, mtime=0), tag)
