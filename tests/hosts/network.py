"""A network of its own on this machine: a bridge, and hosts at its cables, each a network namespace (ip-netns(8)).

The servers that all hosts share listen at the bridge itself. This process stands outside, at a cable of its own, as
clients and extensions do. Its addresses are of the block that is set aside for such trials (RFC 2544).
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
    """This machine, or whoever runs us, cannot make networks; the text says what is missing."""


class Network:
    """Made by `with`, gone with its end. The namespace of a host is named after this process and the host."""

    def __init__(self) -> None:
        self._mark = os.getpid()
        self._hosts: dict[str, str] = {}
        self._taken = 1
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
            raise CannotBuild(f"ip cannot make a network here: {problem.stderr.strip()}") from None
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._remove()

    def host(self, name: str) -> str:
        """One more host; its address."""
        namespace = self._namespace(name)
        _ip("netns", "add", namespace)
        address = self._cable(name, INSIDE, namespace)
        _ip("-n", namespace, "address", "add", f"{address}/24", "dev", INSIDE)
        for device in ("lo", INSIDE):
            _ip("-n", namespace, "link", "set", device, "up")
        return address

    def outside(self) -> str:
        """The address of this process in the network."""
        address = self._cable("outside", self._outside_device, str(os.getpid()))
        _ip("address", "add", f"{address}/24", "dev", self._outside_device)
        _ip("link", "set", self._outside_device, "up")
        return address

    def address(self, name: str) -> str:
        """That of a host."""
        return self._hosts[name]

    def cut(self, name: str) -> None:
        """Pull its cable: packets are lost without a word to anybody."""
        self._at_bridge("link", "set", name, "down")

    def mend(self, name: str) -> None:
        """Put the cable back."""
        self._at_bridge("link", "set", name, "up")

    def command(self, name: str, command: Sequence[str]) -> list[str]:
        """The command that runs `command` on that host, in the same process."""
        return ["ip", "netns", "exec", self._namespace(name), *command]

    @property
    def _outside_device(self) -> str:
        return f"imf{self._mark}"

    def _namespace(self, name: str) -> str:
        return f"{PREFIX}{self._mark}-{name}"

    def _at_bridge(self, *words: str) -> None:
        _ip("-n", self._namespace(BRIDGE), *words)

    def _cable(self, name: str, device: str, namespace: str) -> str:
        self._at_bridge("link", "add", name, "type", "veth", "peer", "name", device, "netns", namespace)
        self._at_bridge("link", "set", name, "master", BRIDGE, "up")
        self._taken += 1
        self._hosts[name] = f"{self._block}.{self._taken}"
        return self._hosts[name]

    def _remove(self) -> None:
        with suppress(subprocess.CalledProcessError):
            _ip("link", "delete", self._outside_device)
        _remove(self._mark)


def _check() -> None:
    if not shutil.which("ip"):
        raise CannotBuild("There is no ip here: install iproute2.")
    if os.geteuid() != 0:
        raise CannotBuild("Only root may make network namespaces: run this with sudo.")


def _remove_leftovers() -> None:
    """Of runs that were killed."""
    for mark in {mark for mark, _ in _namespaces() if not os.path.exists(f"/proc/{mark}")}:  # noqa: PTH110 - of a process
        _remove(mark)


def _remove(mark: int) -> None:
    for owner, name in _namespaces():
        if owner == mark:
            _ip("netns", "delete", name)


def _namespaces() -> list[tuple[int, str]]:
    lines = _ip("netns", "list").splitlines()
    names = [line.split()[0] for line in lines if line.startswith(PREFIX)]
    return [(int(name.split("-")[1]), name) for name in names]


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout
