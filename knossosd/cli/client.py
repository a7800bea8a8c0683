"""A server's HTTP API and its WebSocket, as a client uses them."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3
import websocket
from urllib3.exceptions import HTTPError
from urllib3.filepost import choose_boundary

from knossosd.cli.exits import Exit, Stop
from knossosd.conversion.digest import read_chunks

TIMEOUT = 60.0
PAUSE = 1.0
"""Seconds between two tries to come back to the events of a ticket."""

MAX_TRIES = 60


class Server:
    """The server at `url`, asked with the API `key`."""

    def __init__(self, url: str, key: str | None) -> None:
        if urlsplit(url).scheme not in ("http", "https"):
            raise Stop(Exit.INVALID, f"{url} is not the address of a server: it must start with http:// or https://.")
        self.url = url.rstrip("/")
        self._key = key or ""
        self._connection: websocket.WebSocket | None = None
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False)

    def submit(self, document: str, *, cache: bool) -> tuple[int, str]:
        """Submit a document; returns ticket and token. Without `cache`, the server fetches and reads all anew."""
        fields = {"passwd": self._key, "data": document, **({} if cache else {"no_cache": "1"})}
        answer = self._post("/api/converter/request", fields)
        if answer.get("ticket") is None:
            problems = "\n".join(f"  {one['path']}: {one['message']}" for one in answer.get("errors", []))
            raise Stop(Exit.INVALID, f"The server does not take the document:\n{problems}")
        return int(answer["ticket"]), str(answer["token"])

    def status(self, ticket: int) -> dict[str, Any]:
        """How a ticket is doing."""
        answer = self._request("GET", f"/api/converter/get_status/{ticket}")
        if answer.get("error"):
            raise Stop(Exit.FAILED, str(answer["message"]))
        return answer

    def retrieve(self, ticket: int, token: str) -> dict[str, Any]:
        """The outcome of a ticket."""
        return self._post("/api/converter/retrieve", {"ticket": str(ticket), "token": token})

    def upload(self, path: Path, filename: str, advance: Callable[[int], None]) -> str:
        """Upload a file through `/drop`; returns its link."""
        size = path.stat().st_size
        boundary = choose_boundary()
        quoted = filename.replace('"', "%22")
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{quoted}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        ).encode()
        tail = f"\r\n--{boundary}--\r\n".encode()

        def body() -> Iterator[bytes]:
            yield head
            sent = 0
            for chunk in read_chunks(path):
                yield chunk
                sent += len(chunk)
                advance(sent)
            yield tail

        headers = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(head) + size + len(tail)),
        }
        answer = self._request("POST", f"/drop/{int(time.time())}/-/0", body=body(), headers=headers)
        if answer["error"]:
            raise Stop(Exit.FAILED, f"The server does not take {filename}: {answer['message']}")
        return str(answer["url"])

    def begin_upload(self, filename: str, size: int, sha256: str) -> dict[str, Any]:
        """Begin to upload a file in parts, or go on with it; returns the upload."""
        fields = {"passwd": self._key, "filename": filename, "size": str(size), "sha256": sha256}
        answer = self._post("/api/chunked", fields)
        if answer["error"]:
            raise Stop(Exit.FAILED, f"The server does not take {filename}: {answer['message']}")
        return answer

    def send_part(self, upload: dict[str, Any], number: int, part: bytes) -> dict[str, Any]:
        """Send one part of an upload."""
        path = f"/parts/{number}?sha256={hashlib.sha256(part).hexdigest()}"
        return self._ask_of(upload, "PUT", path, body=part)

    def upload_status(self, upload: dict[str, Any], wait: int = 0) -> dict[str, Any]:
        """How an upload is doing; the server may `wait` so many seconds until it is finished."""
        return self._ask_of(upload, "GET", f"?wait={wait}")

    def finish_upload(self, upload: dict[str, Any]) -> dict[str, Any]:
        """Have an upload finished, all parts of which were sent."""
        return self._ask_of(upload, "POST", "/finish")

    def _ask_of(self, upload: dict[str, Any], method: str, path: str, **options: Any) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {upload['token']}"}
        return self._request(method, f"/api/chunked/{upload['id']}{path}", headers=headers, **options)

    def events(self, ticket: int) -> Iterator[tuple[str, list[Any]]]:
        """What happens to a ticket until it is done: names and arguments.

        Comes back where it was when the connection breaks.
        """
        last, failures = "", 0
        while True:
            try:
                self._connection = websocket.create_connection(self._events_url(ticket, last), timeout=TIMEOUT)
                failures = 0
                while text := self._connection.recv():
                    name, arguments, *rest = json.loads(text)
                    last = rest[0] if rest else last
                    yield name, arguments
                    if name == "done" or (name, arguments) == ("task_status", ["missing"]):
                        return
            except (OSError, websocket.WebSocketException) as error:
                failures += 1
                if failures > MAX_TRIES:
                    raise Stop(Exit.UNREACHABLE, f"The server cannot be reached: {error}.") from None
                time.sleep(PAUSE)
            finally:
                if self._connection:
                    self._connection.close()

    def answer(self, text: str) -> None:
        """Answer the captcha of the ticket whose events are being read."""
        if self._connection:
            self._connection.send(json.dumps(["captcha_response", [text]]))

    def _events_url(self, ticket: int, after: str) -> str:
        base = "ws" + self.url.removeprefix("http")
        return f"{base}/ws/inter/{ticket}" + (f"?after={after}" if after else "")

    def _post(self, path: str, fields: dict[str, str]) -> dict[str, Any]:
        return self._request("POST", path, fields=fields, encode_multipart=True)

    def _request(self, method: str, path: str, **options: Any) -> dict[str, Any]:
        try:
            response = self._pool.request(method, self.url + path, **options)
        except HTTPError as error:
            raise Stop(Exit.UNREACHABLE, f"{self.url} cannot be reached: {_reason(error)}.") from None
        if response.status in (401, 403):
            raise Stop(Exit.DENIED, "The server does not know this API key, or does not allow it to do this.")
        try:
            answer = response.json()
        except ValueError:
            raise Stop(Exit.UNREACHABLE, f"{self.url} is not a knossosd server (status {response.status}).") from None
        if response.status == 429 or response.status >= 500:
            raise Stop(Exit.UNREACHABLE, str(answer.get("message", f"The server failed ({response.status}).")))
        return dict(answer)


def _reason(error: HTTPError) -> str:
    return str(error).rpartition(": ")[2].strip("()'\" ") or type(error).__name__
