"""The least that a socket can be: flask-sock alone. `/echo` says back; `/ws` hears what is published on a channel."""

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
listening: set[Server] = set()


@app.get("/cached")
def cached() -> Response:
    """Sign of life."""
    return Response(b"{}", content_type="application/json")


@sock.route("/echo")  # type: ignore[untyped-decorator]
def echo(ws: Server) -> None:
    """Say the same."""
    while True:
        ws.send(ws.receive())


@sock.route("/ws")  # type: ignore[untyped-decorator]
def hear(ws: Server) -> None:
    """Be told."""
    listening.add(ws)
    try:
        ws.receive()
    except ConnectionClosed:
        listening.discard(ws)


def _pass_on(channel: Any) -> None:
    for message in channel.listen():
        if message["type"] == "message":
            for ws in list(listening):
                ws.send(message["data"].decode())


if url := os.environ.get("FLOOR_REDIS_URL"):
    pubsub = redis.Redis.from_url(url).pubsub()  # type: ignore[no-untyped-call]
    pubsub.subscribe(CHANNEL)
    threading.Thread(target=_pass_on, args=(pubsub,), daemon=True).start()
