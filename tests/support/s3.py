"""An S3 server for tests: moto's, as a process of its own, with buckets that tests make."""

from __future__ import annotations

import os
import socket
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.storage_settings import S3Location
from tests.support.ports import free_port
from tests.support.processes import started
from tests.support.waiting import until

REGION = "eu-central-1"
# Before they are asked for credentials, AWS's own variables of this machine must not count.
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "testing-id",
    "AWS_SECRET_ACCESS_KEY": "testing-secret",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@dataclass
class S3Server:
    """A running server."""

    url: str

    @cached_property
    def client(self) -> Any:
        """A client of boto3 as anybody would make it."""
        import boto3  # noqa: PLC0415 - it takes a second, which all other tests would wait for

        keys = CREDENTIALS["AWS_ACCESS_KEY_ID"], CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
        return boto3.session.Session(*keys).client("s3", endpoint_url=self.url, region_name=REGION)

    def bucket(self) -> str:
        """The name of a new, empty bucket."""
        name = f"test-{uuid.uuid4().hex}"
        self.client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name

    def names(self, bucket: str) -> list[str]:
        """The names of all objects in the bucket."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return [each["Key"] for page in pages for each in page.get("Contents", ())]

    def location(self, bucket: str, prefix: str = "") -> S3Location:
        """The storage that `address` names."""
        return S3Location.parse(self.address(bucket, prefix))

    def address(self, bucket: str, prefix: str = "") -> str:
        """The STORAGE_URL of a bucket."""
        return f"s3://{bucket}/{prefix}?endpoint={self.url}&region={REGION}&path_style=on"

    def answers(self) -> bool:
        """True if it accepts connections."""
        parts = urlsplit(self.url)
        with suppress(OSError):
            socket.create_connection((parts.hostname or "", parts.port or 0), 1).close()
            return True
        return False

    def copy_to(self, folder: Path, bucket: str) -> None:
        """Copy all objects of the bucket to this folder."""
        for name in self.names(bucket):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self.client.download_file(bucket, name, str(path))


def command(host: str, port: int) -> list[str]:
    """The command that runs a server there."""
    return [str(Path(sys.executable).parent / "moto_server"), "-H", host, "-p", str(port)]


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server until the end of the block. What is stored there is in its memory."""
    port = free_port()
    server = S3Server(f"http://127.0.0.1:{port}")
    with started(command("127.0.0.1", port), Path.cwd(), CREDENTIALS) as run:
        until(server.answers, 60, f"the S3 server to answer; its output: {run.output}")
        yield server
