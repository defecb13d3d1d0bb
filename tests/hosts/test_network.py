"""The error explains why a network cannot be created."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.hosts.network import CannotBuild, Network


def test_the_error_names_a_missing_iproute2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(CannotBuild, match="iproute2"), Network():
        pass


def test_the_error_says_that_root_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: f"/sbin/{program}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(CannotBuild, match="root"), Network():
        pass
