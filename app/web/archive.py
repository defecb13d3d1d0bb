"""The extension as a download: a zip to unpack and load, which contains the address of the server that it came from."""

import base64
import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

# What a browser needs; the other files in the folder are for development.
SHIPPED = ("manifest.json", "service_worker.js", "icons", "pages", "providers", "shared", "worker")
KINDS = frozenset({".js", ".json", ".html", ".css", ".png", ".svg"})
SERVER_FILE = "server.json"

# The zip is reproducible: the same files always make the same bytes. This is the earliest time that a zip can contain.
WRITTEN = (1980, 1, 1, 0, 0, 0)
MODE = 0o100644 << 16
UNIX = 3


@dataclass(frozen=True, slots=True)
class Extension:
    """The extension's files by their names in the zip, and its manifest."""

    files: dict[str, bytes]
    manifest: dict[str, Any]

    @property
    def version(self) -> str:
        """The extension's version, not the server's."""
        return str(self.manifest["version"])

    @property
    def id(self) -> str:
        """The id that Chromium derives from the manifest's key: half of its SHA-256, with a to p for digits."""
        digest = hashlib.sha256(base64.b64decode(self.manifest["key"])).hexdigest()[:32]
        return "".join(chr(ord("a") + int(digit, 16)) for digit in digest)


@lru_cache(maxsize=1)
def read(folder: Path) -> Extension:
    """The extension in the folder; read once. Raises FileNotFoundError if there is none."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    names = (name for shipped in SHIPPED for name in _files(folder / shipped))
    return Extension({name.relative_to(folder).as_posix(): name.read_bytes() for name in sorted(names)}, manifest)


@lru_cache(maxsize=16)
def pack(folder: Path, server: str) -> bytes:
    """The zip for users who reach this server at that address. Raises FileNotFoundError."""
    server_json = json.dumps({"server": server}, ensure_ascii=False).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in sorted({**read(folder).files, SERVER_FILE: server_json}.items()):
            entry = zipfile.ZipInfo(name, WRITTEN)
            entry.create_system, entry.external_attr, entry.compress_type = UNIX, MODE, zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return packed.getvalue()


def _files(path: Path) -> list[Path]:
    found = [path] if path.is_file() else path.rglob("*")
    return [each for each in found if each.suffix in KINDS and each.is_file() and not each.name.startswith(".")]
