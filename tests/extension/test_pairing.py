"""What the server's command prints, the extension reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.manage import pairing
from tests.support.node import node

READER = Path(__file__).resolve().parents[2] / "extension" / "shared" / "pairing.js"


@pytest.mark.parametrize(
    "server", ["http://localhost:3000", "https://images.example/fleet", "https://bücher.example/ÿ?"]
)
def test_the_extension_reads_the_pairing_code_that_the_server_prints(server: str) -> None:
    told = {"server": server, "extensionId": "ann-laptop", "token": "imgx_0123456789abcdef_" + "9f" * 32}
    code = pairing.code(told["server"], told["extensionId"], told["token"])
    script = f"import {{ readPairing }} from '{READER}'; console.log(JSON.stringify(readPairing('{code}')))"
    assert json.loads(node("--input-type=module", "--eval", script).stdout) == told
