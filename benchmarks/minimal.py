#!/usr/bin/env python3
"""What a web process on Bottle and gevent costs at least: one route that answers with a small object, and no log.

    python benchmarks/minimal.py PORT

Several of them may share the port.
"""

# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import socket
import sys

import bottle
from gevent.pywsgi import WSGIServer


def main() -> None:
    app = bottle.Bottle()
    app.get("/<number:int>", callback=lambda number: {"number": number, "state": "WAITING"})
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setblocking(False)
    listener.bind(("127.0.0.1", int(sys.argv[1])))
    listener.listen(1024)
    WSGIServer(listener, app, log=None).serve_forever()


if __name__ == "__main__":
    main()
