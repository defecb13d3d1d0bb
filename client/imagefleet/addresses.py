"""The server's address, checked before anything is sent."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit

from imagefleet.defaults import DEFAULT_URL


def checked(address: str) -> str:
    """The address without surrounding spaces and closing slashes. Raises ValueError with what is wrong with it."""
    text = address.strip()
    problem = _problem(text)
    if problem:
        raise ValueError(f"{text!r} is not a server's address such as {DEFAULT_URL}: {problem}.")
    return text.rstrip("/")


def _problem(text: str) -> str | None:
    if any(mark.isspace() or not mark.isprintable() for mark in text):
        return "it contains a space or a control character"
    try:
        parts = urlsplit(text)
    except ValueError:
        return "its host cannot be read"
    if parts.scheme not in ("http", "https"):
        return "it must begin with http:// or https://"
    if not _is_host(parts.hostname or ""):
        return "its host cannot be read"
    if not _has_usable_port(parts):
        return "its port must be a number from 1 to 65535"
    if parts.query or parts.fragment or parts.username is not None:
        return "it may only have a host, a port and a path"
    return None


def _is_host(name: str) -> bool:
    """True for an IP address, and for a name whose labels the Domain Name System allows."""
    try:
        return bool(name.removesuffix(".").encode("idna"))
    except UnicodeError:
        return False


def _has_usable_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False
