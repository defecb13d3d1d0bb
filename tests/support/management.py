"""Runs management commands against a running service."""

from __future__ import annotations

from click.testing import CliRunner

from app.manage.__main__ import main
from tests.support.service import Service


def manage(service: Service, *arguments: str) -> str:
    """Run the command with the service's environment, in this process, and return its output. Raises what stops it."""
    ended = CliRunner().invoke(main, arguments, env=service.env, catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.stdout.strip()
