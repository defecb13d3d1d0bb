"""Self-signed certificates for tests."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Certificate:
    """PEM files: the self-signed certificate and its key."""

    file: Path
    key: Path


def self_signed(folder: Path, name: str = "localhost", passphrase: str | None = None) -> Certificate:
    """A certificate for `name` and 127.0.0.1, created by openssl."""
    made = Certificate(folder / f"{name}.pem", folder / f"{name}.key")
    secret = ["-passout", f"pass:{passphrase}"] if passphrase else ["-nodes"]
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", *secret]
    names = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", "-days", "2"]
    files = ["-keyout", str(made.key), "-out", str(made.file)]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    return made
