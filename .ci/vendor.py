"""Copies what the service's pages load in the browser from vendor/node_modules (see `make vendor`) to its static files.

Scripts are stored compressed: Flask serves `x.js.gz` as the script x.js with `Content-Encoding: gzip`.
"""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "vendor" / "node_modules"
TARGET = ROOT / "app" / "web" / "static" / "vendor"
COPIED = {"swagger-ui-dist": ("swagger-ui.css", "LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt")}
COMPRESSED = {"swagger-ui-dist": ("swagger-ui-bundle.js",)}


def main() -> None:
    """Replace the static files by those that are installed."""
    shutil.rmtree(TARGET, ignore_errors=True)
    for package in COPIED:
        (TARGET / package).mkdir(parents=True)
        for name in COPIED[package]:
            shutil.copyfile(SOURCE / package / name, TARGET / package / name)
        for name in COMPRESSED[package]:
            # Without a time, so that the same version gives the same bytes.
            packed = gzip.compress((SOURCE / package / name).read_bytes(), mtime=0)
            (TARGET / package / f"{name}.gz").write_bytes(packed)


if __name__ == "__main__":
    main()
