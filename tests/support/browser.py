"""Finds Chromium. Without it, tests that need it are skipped with a warning, and fail in CI (IMAGEFLEET_CI)."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.missing import missing

# The program itself; the wrapper in /usr/bin would add the user's settings.
DEBIAN = Path("/usr/lib/chromium/chromium")
NAMES = ("chromium", "chromium-browser")
MISSING = "Chromium is missing: apt-get install chromium fonts-dejavu-core"


def chromium_or_skip() -> Path:
    """The path of Chromium. Google Chrome will not do: it loads no extensions from the command line."""
    found = DEBIAN if DEBIAN.exists() else next((Path(path) for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        missing(MISSING)
    return found
