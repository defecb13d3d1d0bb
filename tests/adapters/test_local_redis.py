"""The embedded Redis server: which program is used, and that it stores nothing on disk."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest
import redis

from app.adapters import local_redis


def missing(_: str) -> None:
    raise importlib.metadata.PackageNotFoundError


def program(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_the_program_of_the_python_package_is_preferred(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program(tmp_path, "redis-server")
    monkeypatch.setenv("PATH", str(tmp_path))
    found = local_redis.find_server()
    assert found is not None
    assert found.name == "valkey-server"
    assert found.parent != tmp_path


@pytest.mark.parametrize("name", local_redis.PROGRAMS)
def test_without_the_package_a_program_on_path_is_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    monkeypatch.setattr(importlib.metadata, "files", missing)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert local_redis.find_server() is None
    installed = program(tmp_path, name)
    assert local_redis.find_server() == installed


def test_nothing_is_stored_on_disk(redis_url: str) -> None:
    client = redis.Redis.from_url(redis_url, decode_responses=True)
    assert client.config_get("appendonly") == {"appendonly": "no"}
    assert client.config_get("save") == {"save": ""}
