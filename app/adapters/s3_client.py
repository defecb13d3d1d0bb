"""The client of an object storage. Loading boto3 takes a second, so only what uses such a storage may import this."""

from dataclasses import dataclass
from typing import Any

import boto3
from botocore.config import Config

from app.storage_settings import S3Location

DEFAULT_REGION = "us-east-1"  # what most other servers than AWS's expect
CONNECTIONS = 64  # that are kept open: more than the downloads of one process


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a connection and for the next bytes, in seconds, and how often to try."""

    connect_s: float
    read_s: float
    attempts: int


WORK = Patience(connect_s=5.0, read_s=15.0, attempts=3)
# Callers wait for its result.
CHECK = Patience(connect_s=2.0, read_s=3.0, attempts=2)


def s3_clients(location: S3Location, *patience: Patience) -> list[Any]:
    """A client for each patience, with the credentials of AWS's own chain. Threads may share them, forks must not.

    Raises BotoCoreError.
    """
    session = boto3.session.Session()
    return [_client(session, location, each) for each in patience]


def _client(session: Any, location: S3Location, patience: Patience) -> Any:
    return session.client(
        "s3",
        region_name=location.region or session.region_name or (DEFAULT_REGION if location.endpoint else None),
        endpoint_url=location.endpoint,
        config=Config(
            signature_version="s3v4",
            connect_timeout=patience.connect_s,
            read_timeout=patience.read_s,
            retries={"mode": "standard", "total_max_attempts": patience.attempts},
            max_pool_connections=CONNECTIONS,
            s3={"addressing_style": _addressing_style(location)},
            # every upload has a SHA-256 of ours; other servers than AWS's may not know the checksums that boto3 would add
            request_checksum_calculation="when_required",
        ),
    )


def _addressing_style(location: S3Location) -> str:
    """The bucket in the path or in the host name.

    By itself boto3 takes the path, and at AWS the global host name: addresses that are signed for that do not work at once for a
    bucket of another region.
    """
    in_path = bool(location.endpoint) if location.path_style is None else location.path_style
    return "path" if in_path else "virtual"
