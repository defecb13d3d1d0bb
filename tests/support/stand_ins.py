"""Small programs in the place of big ones: a folder to launch them in, and what makes one do its deeds."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.processes import Started

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., Started]

PROGRAM = """
import os, signal, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

deeds = sys.argv[1:]

def leave(*_):
    time.sleep(0.3 if "slow" in deeds else 0)
    print("leaves", flush=True)
    sys.exit(0)

class Healthy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
    def log_message(self, *_):
        pass

signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in deeds else leave)
if "parent" in deeds:
    child = subprocess.Popen([sys.executable, __file__, "stubborn", "child"], stdout=subprocess.PIPE)
    child.stdout.readline()
if "tell" in deeds:
    print(*(f"{name}={os.environ.get(name)}" for name in ("REDIS_URL", "DATABASE_URL", "WS_PORT")), flush=True)
if "mutter" in deeds:
    os.write(1, b"x" * 200_000 + b" then \\xff and no end of line")
else:
    print("here I am", *deeds, flush=True)
if "end" in deeds:
    sys.exit(7)
if "serve" in deeds:
    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Healthy).serve_forever()
while True:
    time.sleep(60)
"""


def furnish(folder: Path) -> Path:
    """Make `folder` one to launch in: the project's code, and `stand_in.py`, which does what its arguments say."""
    folder.mkdir(exist_ok=True)
    for name in ("app", "client", "migrations", "worker"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "stand_in.py").write_text(PROGRAM)
    return folder


def stand_in(*deeds: str) -> list[str]:
    """The command that does these deeds, in a furnished folder."""
    return [sys.executable, "stand_in.py", *deeds]
