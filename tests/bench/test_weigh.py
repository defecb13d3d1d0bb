"""What a request leaves in PostgreSQL."""

from __future__ import annotations

import pytest

from bench import weigh


def test_a_request_is_measured_by_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert weigh.main(["3"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    rows = {words[0]: words[1] for words in lines if words[0] in weigh.TABLES}
    assert rows == {"jobs": "1.0", "events": "4.0", "images": "1.0", "files": "0.0"}
