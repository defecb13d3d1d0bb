"""Asks OSV (https://google.github.io/osv.dev/post-v1-querybatch/) for known holes in pinned packages.

Ends with 1 where there are some, and with 0 where there are none or nobody could be asked, which is said.
ADVISORIES_URL names another service that answers in the same way.
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.request
from pathlib import Path

URL = os.environ.get("ADVISORIES_URL", "https://api.osv.dev/v1/querybatch")
PIN = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==([^\s;\\]+)", re.MULTILINE)
TIMEOUT_S = 30


def pins(texts: list[str]) -> list[tuple[str, str]]:
    """Every name with its version, once."""
    return sorted({(name.lower(), version) for text in texts for name, version in PIN.findall(text)})


def holes(pinned: list[tuple[str, str]]) -> dict[str, list[str]]:
    """Ids of advisories by `name==version`. Raises OSError and ValueError where there is no such answer."""
    queries = [{"package": {"ecosystem": "PyPI", "name": name}, "version": version} for name, version in pinned]
    request = urllib.request.Request(
        URL, json.dumps({"queries": queries}).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
        results = json.load(answer)["results"]
    if len(results) != len(pinned):
        raise ValueError("not one result for each package")
    found = zip(pinned, results, strict=True)
    return {
        f"{name}=={version}": [hole["id"] for hole in result["vulns"]]
        for (name, version), result in found
        if result.get("vulns")
    }


def main(files: list[str]) -> int:
    """The exit status."""
    pinned = pins([Path(file).read_text() for file in files])
    try:
        found = holes(pinned)
    except (OSError, ValueError, KeyError, TypeError) as problem:
        print(f"NOT audited: {URL} cannot be asked ({problem}). {len(pinned)} pins stand unchecked.")
        return 0
    for pin, ids in found.items():
        print(f"{pin}: {', '.join(ids)}")
    print(f"{len(found)} of {len(pinned)} pinned packages have known holes.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
