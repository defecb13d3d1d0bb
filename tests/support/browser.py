"""Where Chromium is. Tests that need it are skipped loudly where it is missing, and fail there in CI (IMAGEFLEET_CI)."""

from __future__ import annotations

import os
import shutil
import warnings
from pathlib import Path

import pytest

# Debian's own program, which the wrapper in /usr/bin starts; the wrapper is for people's settings.
DEBIAN = Path("/usr/lib/chromium/chromium")
NAMES = ("chromium", "chromium-browser")
MISSING = "Chromium is missing: apt-get install chromium fonts-dejavu-core"


def chromium_or_skip() -> Path:
    """The program; Google's Chrome is none, for it takes no extension from the command line."""
    found = DEBIAN if DEBIAN.exists() else next((Path(path) for path in map(shutil.which, NAMES) if path), None)
    if found is not None:
        return found
    if os.environ.get("IMAGEFLEET_CI"):
        pytest.fail(MISSING)
    warnings.warn(f"The extension is NOT tested in a browser. {MISSING}", stacklevel=2)
    pytest.skip(MISSING)
