"""Somebody who watches a ticket through everything that happens."""

import json
import threading

import websocket

from tests.checkouts import PATIENCE


class Watcher:
    """Watches a ticket as the clients do: it comes back after every break, and asks for what it has missed."""

    def __init__(self, port: int, ticket: int) -> None:
        self.ids: list[str] = []
        self.done: list[bool] = []
        self.breaks = 0
        self._url = f"ws://127.0.0.1:{port}/ws/watcher/{ticket}"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join(PATIENCE)

    def _watch(self) -> None:
        while not self._stopped.is_set() and not self.done:
            after = f"?after={self.ids[-1]}" if self.ids else ""
            try:
                connection = websocket.create_connection(self._url + after, timeout=1)
                try:
                    self._read(connection)
                finally:
                    connection.close()
            except (OSError, websocket.WebSocketException):
                self.breaks += 1
                self._stopped.wait(0.1)

    def _read(self, connection: websocket.WebSocket) -> None:
        while not self._stopped.is_set() and not self.done:
            try:
                text = connection.recv()
            except websocket.WebSocketTimeoutException:
                continue
            if not text:
                raise websocket.WebSocketConnectionClosedException
            name, arguments, *event_id = json.loads(text)
            self.ids += event_id
            if name == "done":
                self.done.append(arguments[0])
