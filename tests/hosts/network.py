"""A virtual network on this machine: a bridge, and hosts connected to it, each a network namespace (ip-netns(8)).

The servers that all hosts share listen on the bridge itself. This process has a connection of its own, like clients and
extensions. The addresses are from the block that is reserved for such tests (RFC 2544).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

PREFIX = "imagefleet-"
BRIDGE = "bridge"
INSIDE = "eth0"


class CannotBuild(Exception):
    """Networks cannot be created on this machine or by this user; the text explains what is missing."""


class Network:
    """A context manager that creates and removes the network. Namespaces are named after this process and the host."""

    def __init__(self) -> None:
        self._mark = os.getpid()
        self._hosts: dict[str, str] = {}
        self._last_address = 1
        self._block = f"198.18.{self._mark % 256}"
        self.subnet = f"{self._block}.0/24"
        self.servers = f"{self._block}.1"

    def __enter__(self) -> Self:
        """Build the bridge. Raises CannotBuild."""
        _check()
        _remove_leftovers()
        try:
            _ip("netns", "add", self._namespace(BRIDGE))
            self._at_bridge("link", "add", BRIDGE, "type", "bridge")
            self._at_bridge("address", "add", f"{self.servers}/24", "dev", BRIDGE)
            for device in ("lo", BRIDGE):
                self._at_bridge("link", "set", device, "up")
        except subprocess.CalledProcessError as problem:
            self._remove()
            raise CannotBuild(f"ip cannot create a network here: {problem.stderr.strip()}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._remove()

    def host(self, name: str) -> str:
        """Add a host; returns its address."""
        namespace = self._namespace(name)
        _ip("netns", "add", namespace)
        address = self._connect(name, INSIDE, namespace)
        _ip("-n", namespace, "address", "add", f"{address}/24", "dev", INSIDE)
        for device in ("lo", INSIDE):
            _ip("-n", namespace, "link", "set", device, "up")
        return address

    def outside(self) -> str:
        """Connect this process; returns its address in the network."""
        address = self._connect("outside", self._outside_device, str(os.getpid()))
        _ip("address", "add", f"{address}/24", "dev", self._outside_device)
        _ip("link", "set", self._outside_device, "up")
        return address

    def address(self, name: str) -> str:
        """The address of a host."""
        return self._hosts[name]

    def disconnect(self, name: str) -> None:
        """Disconnect a host: packets are lost silently."""
        self._at_bridge("link", "set", name, "down")

    def reconnect(self, name: str) -> None:
        """Reconnect a host."""
        self._at_bridge("link", "set", name, "up")

    def command(self, name: str, command: Sequence[str]) -> list[str]:
        """A command that runs `command` on that host, in the same process."""
        return ["ip", "netns", "exec", self._namespace(name), *command]

    @property
    def _outside_device(self) -> str:
        return f"imf{self._mark}"

    def _namespace(self, name: str) -> str:
        return f"{PREFIX}{self._mark}-{name}"

    def _at_bridge(self, *arguments: str) -> None:
        _ip("-n", self._namespace(BRIDGE), *arguments)

    def _connect(self, name: str, device: str, namespace: str) -> str:
        self._at_bridge("link", "add", name, "type", "veth", "peer", "name", device, "netns", namespace)
        self._at_bridge("link", "set", name, "master", BRIDGE, "up")
        self._last_address += 1
        self._hosts[name] = f"{self._block}.{self._last_address}"
        return self._hosts[name]

    def _remove(self) -> None:
        with suppress(subprocess.CalledProcessError):
            _ip("link", "delete", self._outside_device)
        _remove(self._mark)


def _check() -> None:
    if not shutil.which("ip"):
        raise CannotBuild("The command ip is missing: install iproute2.")
    if os.geteuid() != 0:
        raise CannotBuild("Only root may create network namespaces: run this with sudo.")


def _remove_leftovers() -> None:
    """Remove the networks of runs that were killed."""
    for mark in {mark for mark, _ in _namespaces() if not os.path.exists(f"/proc/{mark}")}:  # noqa: PTH110 - a process, not a file
        _remove(mark)


def _remove(mark: int) -> None:
    for owner, name in _namespaces():
        if owner == mark:
            _ip("netns", "delete", name)


def _namespaces() -> list[tuple[int, str]]:
    lines = _ip("netns", "list").splitlines()
    names = [line.split()[0] for line in lines if line.startswith(PREFIX)]
    return [(int(name.split("-")[1]), name) for name in names]


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout
