"""The extension reads pairing codes that the server creates."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.manage import pairing
from tests.support.node import node

MODULE = Path(__file__).resolve().parents[2] / "extension" / "shared" / "pairing.js"


@pytest.mark.parametrize(
    "server", ["http://localhost:3000", "https://images.example/fleet", "https://bücher.example/ÿ?"]
)
def test_the_extension_parses_the_server_s_pairing_code(server: str) -> None:
    settings = {"server": server, "extensionId": "ann-laptop", "token": "imgx_0123456789abcdef_" + "9f" * 32}
    code = pairing.code(settings["server"], settings["extensionId"], settings["token"])
    script = f"import {{ parsePairingCode }} from '{MODULE}'; console.log(JSON.stringify(parsePairingCode('{code}')))"
    assert json.loads(node("--input-type=module", "--eval", script).stdout) == settings
