"""Where Chromium is. Tests that need it are skipped loudly where it is missing, and fail there in CI (IMAGEFLEET_CI)."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.missing import missing

# Debian's own program, which the wrapper in /usr/bin starts; the wrapper is for people's settings.
DEBIAN = Path("/usr/lib/chromium/chromium")
NAMES = ("chromium", "chromium-browser")
MISSING = "Chromium is missing: apt-get install chromium fonts-dejavu-core"


def chromium_or_skip() -> Path:
    """The program; Google's Chrome is none, for it takes no extension from the command line."""
    found = DEBIAN if DEBIAN.exists() else next((Path(path) for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        missing(MISSING)
    return found
