"""A short run on real processes with a fixed seed. `make chaos` does longer ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.plan import draw
from tests.chaos.run import execute

SEED = 32
JOBS = 40
SECONDS = 12.0
FAULTS = 6


@pytest.mark.xdist_group("chaos")
@pytest.mark.timeout(240)
def test_every_guarantee_is_kept_under_faults(tmp_path: Path) -> None:
    lines: list[str] = []
    plan = draw(SEED, JOBS, SECONDS, faults=FAULTS)
    result = execute(plan, "sqlite", tmp_path, patience_s=90, log=lines.append)
    assert not result.violations, "\n".join([f"seed {SEED}", *lines, *map(str, result.violations)])
    assert sum(result.survived.values()) == FAULTS
    assert len({each.client for each in result.history.records.acknowledged}) == JOBS
