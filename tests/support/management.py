"""Runs management commands against a running service."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.service import ROOT, Service


def manage(service: Service, *arguments: str) -> str:
    """Run `python -m app.manage` with the service's environment and return its output. Raises CalledProcessError."""
    command = [sys.executable, "-m", "app.manage", *arguments]
    env = {**os.environ, **service.env}
    return subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True, text=True).stdout.strip()
