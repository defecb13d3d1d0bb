"""Reads and checks variables of the environment; the error for a bad value names its variable."""

import re
from collections.abc import Callable, Mapping
from dataclasses import field, fields
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from app.network_settings import TlsFiles
from app.sentinels import Sentinels

T = TypeVar("T")


class BadSetting(Exception):
    """A variable holds a value that cannot be used; the text names it and what is allowed."""


def setting(read: Callable[..., Any], *arguments: Any) -> Any:
    """A field of a dataclass of settings: `read(environment, *arguments)` is its value."""
    return field(metadata={"read": lambda environment: read(environment, *arguments)})


class Environment:
    """Reads one variable at a time; an empty value counts as absent. A bad value raises BadSetting."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self.env = env

    def all_of(self, settings: type[T]) -> T:
        """A dataclass whose fields are each a `setting`."""
        return settings(**{each.name: each.metadata["read"](self) for each in fields(settings)})  # type: ignore[arg-type]

    def given(self, name: str) -> bool:
        """True if it has a value."""
        return bool(self.env.get(name, "").strip())

    def text(self, name: str, default: str) -> str:
        """Any text."""
        return self.env.get(name, "").strip() or default

    def parsed(self, name: str, default: T, parse: Callable[[str], T], wanted: str) -> T:
        """The result of `parse`; its ValueError becomes a BadSetting that names what is `wanted`."""
        if not self.given(name):
            return default
        raw = self.env[name].strip()
        try:
            return parse(raw)
        except ValueError:
            raise BadSetting(f"{name}={raw!r} cannot be used: it must be {wanted}.") from None

    def whole(self, name: str, default: int, least: int, most: int = 2**53) -> int:
        """A whole number from `least` to `most`."""
        top = "" if most == 2**53 else f" and at most {most}"
        wanted = f"a whole number of at least {least}{top}"
        return self.parsed(
            name,
            default,
            lambda raw: _checked(re.fullmatch("[0-9]+", raw) and least <= int(raw) <= most, int(raw)),
            wanted,
        )

    def matching(self, name: str, default: str | None, pattern: str, wanted: str) -> str | None:
        """A text that matches the pattern as a whole."""
        return self.parsed(name, default, lambda raw: _checked(re.fullmatch(pattern, raw), raw), wanted)

    def choice(self, name: str, default: str, *choices: str) -> str:
        """One of the choices, in lower case."""
        wanted = "one of " + ", ".join(sorted(choices))
        return self.parsed(name, default, lambda raw: _checked(raw.lower() in choices, raw.lower()), wanted)

    def secret(self, name: str) -> str | None:
        """A secret; the error does not repeat it."""
        value = self.text(name, "")
        if value and len(value.encode()) < 32:
            raise BadSetting(f"{name} cannot be used: it must be at least 32 bytes long.")
        return value or None

    def web_url(self, name: str) -> str | None:
        """A URL of http or https, without a trailing slash."""

        def parse(raw: str) -> str | None:
            parts = urlsplit(raw)
            return _checked(parts.scheme in {"http", "https"} and parts.netloc, raw.rstrip("/"))

        return self.parsed(name, None, parse, "a URL that begins with http:// or https://")

    def redis_url(self, name: str, default: str) -> str:
        """The URL of a Redis server, or of its sentinels."""

        def parse(raw: str) -> str:
            parts, url = urlsplit(raw), raw.rstrip("/")
            server = parts.scheme in {"redis", "rediss", "unix"} and (parts.netloc or parts.path)
            return _checked(server or Sentinels.parse(url), url)

        wanted = (
            "a URL that begins with redis:// or rediss:// or unix://, or redis+sentinel://host:port,host:port/master"
        )
        return self.parsed(name, default, parse, wanted)

    def database_url(self, name: str, default: str) -> str:
        """The URL of a database in SQLAlchemy's form."""

        def parse(raw: str) -> str:
            scheme, _, rest = raw.partition("://")
            if scheme == "sqlite":
                return _checked(rest.strip("/") not in {"", ":memory:"}, raw)
            known = scheme in {"postgres", "postgresql", "postgresql+psycopg"}
            return _checked(known and rest, f"postgresql+psycopg://{rest}")

        return self.parsed(name, default, parse, "postgresql://user:password@host/name or sqlite:///path/to/file.db")

    def tls(self, certificate: str, key: str) -> TlsFiles | None:
        """Both files, or neither."""
        files = self.text(certificate, ""), self.text(key, "")
        for name, other, value in ((certificate, key, files[1]), (key, certificate, files[0])):
            if value and not self.given(name):
                raise BadSetting(f"{name} is missing: {other} needs it.")
        return TlsFiles(Path(files[0]).resolve(), Path(files[1]).resolve()) if all(files) else None


def _checked(allowed: object, value: T) -> T:
    """The value. Raises ValueError unless it is allowed."""
    if not allowed:
        raise ValueError
    return value
