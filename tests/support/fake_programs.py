"""A small program that stands in for the real ones in tests of the launcher, and a folder to start it in."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.processes import StartedProcess

ROOT = Path(__file__).resolve().parents[2]
Start = Callable[..., StartedProcess]

PROGRAM = """
import os, signal, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer

behaviours = sys.argv[1:]

def stop(*_):
    time.sleep(0.3 if "slow" in behaviours else 0)
    print("stopping", flush=True)
    sys.exit(0)

class Healthy(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
    def log_message(self, *_):
        pass

signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in behaviours else stop)
if "parent" in behaviours:
    child = subprocess.Popen([sys.executable, __file__, "stubborn", "child"], stdout=subprocess.PIPE)
    child.stdout.readline()
if "print-settings" in behaviours:
    print(*(f"{name}={os.environ.get(name)}" for name in ("REDIS_URL", "DATABASE_URL", "WS_PORT")), flush=True)
if "print-no-newline" in behaviours:
    os.write(1, b"x" * 200_000 + b" then \\xff and no end of line")
else:
    print("started", *behaviours, flush=True)
if "end" in behaviours:
    sys.exit(7)
if "serve" in behaviours:
    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Healthy).serve_forever()
while True:
    time.sleep(60)
"""


def create_project_folder(folder: Path) -> Path:
    """Make `folder` one to start programs in, with the project's code and `fake_program.py`; returns it."""
    folder.mkdir(exist_ok=True)
    for name in ("app", "client", "migrations", "worker"):
        (folder / name).symlink_to(ROOT / name)
    (folder / "fake_program.py").write_text(PROGRAM)
    return folder


def fake_program(*behaviours: str) -> list[str]:
    """The command line of a fake program with these behaviours; run it in such a folder."""
    return [sys.executable, "fake_program.py", *behaviours]
