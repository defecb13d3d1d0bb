"""A minimal socket: flask-sock alone. `/echo` echoes; `/ws` sends what is published on a channel."""

from __future__ import annotations

import os
import threading
from typing import Any

import redis
from flask import Flask, Response
from flask_sock import Sock
from simple_websocket import ConnectionClosed, Server

from bench.floors.tasks import CHANNEL

app = Flask(__name__, static_folder=None)
sock = Sock(app)
connected: set[Server] = set()


@app.get("/cached")
def cached() -> Response:
    """A health check."""
    return Response(b"{}", content_type="application/json")


@sock.route("/echo")  # type: ignore[untyped-decorator]
def echo(ws: Server) -> None:
    """Echo every message."""
    while True:
        ws.send(ws.receive())


@sock.route("/ws")  # type: ignore[untyped-decorator]
def receive(ws: Server) -> None:
    """Receive what `_forward` sends, until the client closes."""
    connected.add(ws)
    try:
        ws.receive()
    except ConnectionClosed:
        connected.discard(ws)


def _forward(channel: Any) -> None:
    for message in channel.listen():
        if message["type"] == "message":
            for ws in list(connected):
                ws.send(message["data"].decode())


if url := os.environ.get("FLOOR_REDIS_URL"):
    pubsub = redis.Redis.from_url(url).pubsub()  # type: ignore[no-untyped-call]
    pubsub.subscribe(CHANNEL)
    threading.Thread(target=_forward, args=(pubsub,), daemon=True).start()
