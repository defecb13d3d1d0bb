"""The extension on the server: the zip, its page and the demonstration page."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from base64 import b64decode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app import container
from app.factory import create_app
from app.web import archive, extension
from tests.support.fakes import Bench

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "extension"
ZIP = "/extension/imagefleet-extension.zip"
GUIDE = "/extension"
# References to other files that must be in the zip too, by type of file.
NAMED = {".js": r'"(\.\.?/[^"]+\.js)"', ".html": r'(?:src|href)="([^"#:]+)"', ".css": r'@import "([^"]+)"'}
KEY = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKyqfYwK3KY0Yc0nC5wF3sZBhmTzxLZKTbZ8pbnO"
MANIFEST = {"version": "9.8.7", "key": KEY, "minimum_chrome_version": "116"}
Start = Callable[..., FlaskClient]


@pytest.fixture
def database_url(fresh_sqlite: str) -> str:
    """SQLite alone: these pages make no queries."""
    return fresh_sqlite


@pytest.fixture
def start(bench: Bench) -> Start:
    """An application with these settings."""

    def make(**settings: Any) -> FlaskClient:
        services = container.build(bench.with_settings(**settings).ports)
        return create_app(services.settings, services).test_client()

    return make


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The empty folder in which this server looks for the extension."""
    folder = tmp_path / "extension"
    monkeypatch.setattr(extension, "FOLDER", folder)
    yield folder
    archive.read.cache_clear()
    archive.pack.cache_clear()


def unpacked(answer: TestResponse) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.data)) as packed:
        assert packed.testzip() is None
        return {name: packed.read(name) for name in packed.namelist()}


def server_in(answer: TestResponse) -> str:
    return str(json.loads(unpacked(answer)["server.json"])["server"])


def test_the_zip_contains_the_whole_extension(client: FlaskClient) -> None:
    files = unpacked(client.get(ZIP))
    assert set(named(json.loads(files["manifest.json"]))) <= set(files)
    for name, content in files.items():
        for found in re.findall(NAMED.get(Path(name).suffix, r"(?!)"), content.decode("utf-8", "replace")):
            assert urljoin(name, found) in files, f"{name} needs {found}"
        assert name == "server.json" or content == (SOURCE / name).read_bytes()


def named(value: Any) -> Iterator[str]:
    """All files that a manifest names."""
    if isinstance(value, str) and re.fullmatch(r"[\w/-]+\.(js|html|png|css)", value):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from named(each)


def test_files_for_developers_are_not_in_the_zip(client: FlaskClient) -> None:
    names = set(unpacked(client.get(ZIP)))
    here = {path.relative_to(SOURCE).as_posix() for path in SOURCE.iterdir()}
    assert {"package.json", "package-lock.json", "tsconfig.json", "eslint.config.js", "README.md"} <= here
    assert {name.split("/")[0] for name in names} <= {*archive.SHIPPED, "server.json"}
    assert not [name for name in names if "node_modules" in name or name.endswith((".md", ".pem", ".map"))]


def test_other_files_of_the_folder_are_not_in_the_zip(start: Start, folder: Path) -> None:
    wanted = ["manifest.json", "service_worker.js", "worker/task.js", "icons/icon16.png", "pages/popup.html"]
    others = [
        "key.pem",
        ".env",
        "notes.md",
        "worker/.task.js.swp",
        "pages/.hidden.js",
        "store/text.json",
        "worker/a.ts",
    ]
    others += ["node_modules/a/index.js", "package.json", "server.json"]
    for name in wanted + others:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(MANIFEST) if name == "manifest.json" else "x")
    answer = start().get(ZIP)
    assert sorted(unpacked(answer)) == sorted([*wanted, "server.json"])
    assert server_in(answer) == "http://localhost"


def test_the_same_files_give_the_same_zip(client: FlaskClient) -> None:
    first = client.get(ZIP).data
    archive.read.cache_clear()
    archive.pack.cache_clear()
    assert client.get(ZIP).data == first
    with zipfile.ZipFile(io.BytesIO(first)) as packed:
        entries = packed.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {(entry.date_time, entry.external_attr >> 16, entry.create_system) for entry in entries} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644, 3)
    }


def test_the_zip_is_created_once(client: FlaskClient) -> None:
    client.get(ZIP)
    packed = archive.pack.cache_info().misses, archive.read.cache_info().misses
    for path in (ZIP, ZIP, GUIDE):
        client.get(path)
    assert (archive.pack.cache_info().misses, archive.read.cache_info().misses) == packed


def test_the_download_has_an_etag_that_changes_with_its_content(client: FlaskClient) -> None:
    answer = client.get(ZIP)
    assert answer.content_type == "application/zip"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="imagefleet-extension.zip"'
    assert answer.headers["Cache-Control"] == "private, no-cache"
    again = client.get(ZIP, headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    assert client.get(ZIP, headers={"Host": "elsewhere"}).headers["ETag"] != answer.headers["ETag"]
    head = client.head(ZIP)
    assert (head.status_code, head.data, head.content_length) == (200, b"", len(answer.data))


@pytest.mark.parametrize("url", ["http://localhost:3000", "https://img:8443", "http://127.0.0.1", "http://[::1]:3000"])
def test_the_zip_contains_the_address_that_the_client_used(client: FlaskClient, url: str) -> None:
    assert server_in(client.get(ZIP, base_url=url)) == url
    assert url in client.get(GUIDE, base_url=url).text


def test_public_url_has_priority_over_the_address_that_the_client_used(start: Start) -> None:
    client = start(public_url="https://images.example/fleet")
    for host in ("localhost", "images.example", "img"):
        assert server_in(client.get(ZIP, headers={"Host": host})) == "https://images.example/fleet"


def test_a_forged_host_affects_only_its_own_response(start: Start) -> None:
    client = start(host="0.0.0.0")
    for host in ("evil.example", "evil.example:81"):
        assert server_in(client.get(ZIP, headers={"Host": host})) == f"http://{host}"
        assert server_in(client.get(ZIP, headers={"Host": "images.example"})) == "http://images.example"
    forwarded = {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/evil"}
    assert server_in(client.get(ZIP, headers={"Host": "images.example", **forwarded})) == "http://images.example"


@pytest.mark.parametrize(
    ("host", "status"), [("evil.example", 421), ('x"},"server":"evil', 400), ("evil.example/x", 400), ("", 400)]
)
def test_a_foreign_host_name_gets_no_extension(client: FlaskClient, host: str, status: int) -> None:
    for path in (ZIP, GUIDE):
        assert client.get(path, headers={"Host": host}).status_code == status


def test_many_host_names_do_not_fill_the_memory(start: Start) -> None:
    client = start(host="0.0.0.0")
    for number in range(40):
        client.get(ZIP, headers={"Host": f"host-{number}.example"})
    assert archive.pack.cache_info().currsize <= 16


def test_without_an_extension_the_response_is_not_found(start: Start, folder: Path) -> None:
    client = start()
    for path in (ZIP, GUIDE):
        answer = client.get(path)
        assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
        assert "without the extension" in answer.json["detail"]
    write(folder)
    assert client.get(ZIP).status_code == client.get(GUIDE).status_code == 200


def write(folder: Path) -> None:
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))


def test_the_page_shows_version_and_id_of_the_extension(start: Start, folder: Path) -> None:
    write(folder)
    text = start().get(GUIDE).text
    digest = hashlib.sha256(b64decode(KEY)).hexdigest()[:32]
    assert digest.translate(str.maketrans("0123456789abcdef", "abcdefghijklmnop")) in text
    assert "9.8.7" in text


def test_every_picture_on_the_page_has_a_description(client: FlaskClient) -> None:
    figures = re.findall(r'<svg class="figure"[^>]*>', client.get(GUIDE).text)
    assert len(figures) == 5
    assert all(re.search(r'role="img" aria-label="[^"]{20,}"', figure) for figure in figures)


def test_if_tokens_are_required_the_page_explains_pairing(client: FlaskClient, start: Start) -> None:
    assert "Pair it" not in client.get(GUIDE).text
    guarded = start(auth_required=True).get(GUIDE).text
    assert "Pair it" in guarded
    assert "--pairing" in guarded
