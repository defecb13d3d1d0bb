"""Who cannot make a network is told what is missing."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.hosts.network import CannotBuild, Network


def test_without_iproute2_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(CannotBuild, match="iproute2"), Network():
        pass


def test_who_is_not_root_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: f"/sbin/{program}")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(CannotBuild, match="root"), Network():
        pass
