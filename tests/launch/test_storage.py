"""The storage of pictures at a start."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import Settings
from app.launch import storage
from app.launch.checks import NotReady
from app.launch.storage import check_storage
from tests.support.fake_programs import Start
from tests.support.ports import free_port
from tests.support.s3 import CREDENTIALS, S3Server
from tests.support.scripted_server import Reply, ScriptedServer

pytestmark = pytest.mark.usefixtures("s3_credentials")


def check(url: str, folder: Path) -> None:
    check_storage(Settings.from_env({"STORAGE_URL": url, "IMAGE_STORAGE_PATH": str(folder / "unfinished")}))


def refusal(url: str, folder: Path) -> str:
    with pytest.raises(NotReady) as refused:
        check(url, folder)
    return str(refused.value)


def test_a_bucket_that_can_be_used_passes(s3: S3Server, tmp_path: Path) -> None:
    bucket = s3.bucket()
    check(s3.address(bucket), tmp_path)
    assert s3.names(bucket) == []
    assert (tmp_path / "unfinished").is_dir()


def test_a_folder_passes(tmp_path: Path) -> None:
    check(f"file://{tmp_path}/pictures", tmp_path)
    assert (tmp_path / "pictures").is_dir()


def test_a_missing_bucket_is_named(s3: S3Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = refusal(s3.address("no-such-bucket"), tmp_path)
    assert line == "STORAGE_URL: there is no bucket 'no-such-bucket': create it, or name another."
    assert capsys.readouterr().out == ""


def test_a_server_that_stays_unreachable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "RETRY_FOR_S", 0.0)
    url = f"http://127.0.0.1:{free_port()}"
    line = refusal(f"s3://pictures?endpoint={url}", tmp_path)
    assert line == f"STORAGE_URL: {url} cannot be reached (EndpointConnectionError)."


def test_a_server_that_comes_late_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(storage, "PAUSE_S", 0.01)
    with ScriptedServer() as server:
        server.on("HEAD", "/pictures", *[Reply(status=503)] * 2, Reply())
        server.on("HEAD", "/pictures/.check", Reply(status=404))
        server.on("PUT", "/pictures/.check", Reply())
        server.on("DELETE", "/pictures/.check", Reply(status=204))
        check(f"s3://pictures?endpoint={server.url}", tmp_path)
    assert "the storage is overloaded (503). Retrying for 30 s." in capsys.readouterr().err


def test_missing_rights_end_the_start_in_one_line(start: Start, services: Path) -> None:
    (services / "Procfile").write_text("web: none")
    with ScriptedServer() as server:
        server.on("HEAD", "/pictures", Reply(status=403))
        url = f"s3://pictures/app?endpoint={server.url}"
        run = start("-m", "app.launch", PORT=str(free_port()), STORAGE_URL=url, **CREDENTIALS)
        assert run.wait_for_exit() == 1
    assert run.output == (
        "STORAGE_URL: access to s3://pictures/app/ is refused: the credentials need s3:GetObject, s3:PutObject and "
        "s3:DeleteObject there, and s3:ListBucket of the bucket 'pictures'.\n"
    )
