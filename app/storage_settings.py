"""STORAGE_URL: a folder of this host (`file:///…`) or a bucket (`s3://bucket/prefix?endpoint=…&region=…&path_style=on`)."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

WANTED = (
    "file:///path, or s3://bucket/prefix with any of ?endpoint=https://host, region=name and path_style=on or off "
    "(credentials are set by AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)"
)
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX = re.compile(r"([A-Za-z0-9!_.*'()-]+/)*")
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_OPTIONS = {"endpoint", "region", "path_style"}


@dataclass(frozen=True, slots=True)
class S3Location:
    """Where pictures are kept in an object storage.

    `prefix` is empty or ends with a slash. `endpoint` and `region` are None where AWS's own variables or defaults decide,
    `path_style` where the endpoint does.
    """

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    path_style: bool | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError."""
        parts = urlsplit(text)
        options = _options(parts)
        prefix = parts.path.strip("/")
        location = cls(
            bucket=parts.netloc,
            prefix=f"{prefix}/" if prefix else "",
            endpoint=options.get("endpoint", "").rstrip("/") or None,
            region=options.get("region"),
            path_style=options["path_style"] == "on" if "path_style" in options else None,
        )
        _check(location, parts, options)
        return location

    @property
    def address(self) -> str:
        """Bucket and prefix as an operator writes them."""
        return f"s3://{self.bucket}/{self.prefix}"


def parse(text: str) -> S3Location | Path:
    """The bucket or the folder that STORAGE_URL names. Raises ValueError."""
    return S3Location.parse(text) if text.startswith("s3://") else _folder(text)


def _folder(text: str) -> Path:
    parts = urlsplit(text)
    path = unquote(parts.path)
    allowed = parts.scheme == "file" and parts.netloc in {"", "localhost"} and path.startswith("/")
    if not allowed or parts.query or parts.fragment or "\0" in path:
        raise ValueError
    return Path(path).resolve()


def _options(parts: SplitResult) -> dict[str, str]:
    pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True) if parts.query else []
    options = dict(pairs)
    if len(options) != len(pairs) or not set(options) <= _OPTIONS:
        raise ValueError
    return options


def _check(location: S3Location, parts: SplitResult, options: dict[str, str]) -> None:
    region = location.region
    allowed = (
        _BUCKET.fullmatch(location.bucket)
        and ".." not in location.bucket
        and _PREFIX.fullmatch(location.prefix)
        and not any(set(part) <= {"."} for part in location.prefix.split("/")[:-1])
        and not parts.fragment
        and (region is None or _REGION.fullmatch(region))
        and options.get("path_style", "off") in {"on", "off"}
        and ("endpoint" not in options or _is_endpoint(location.endpoint or ""))
    )
    if not allowed:
        raise ValueError


def _is_endpoint(text: str) -> bool:
    parts = urlsplit(text)
    host = parts.hostname and parts.port != 0  # `port` raises ValueError for what is none
    return bool(
        host
        and parts.scheme in {"http", "https"}
        and "@" not in parts.netloc
        and not (parts.path or parts.query or parts.fragment)
    )
