"""STORAGE_URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.config import BadSetting, Settings
from app.storage_settings import S3Location


def settings(url: str, **env: str) -> Settings:
    return Settings.from_env({"STORAGE_URL": url, **env})


def test_without_it_pictures_are_in_image_storage_path() -> None:
    found = settings("", IMAGE_STORAGE_PATH="/srv/pictures")
    assert (found.storage_path, found.s3_storage) == (Path("/srv/pictures"), None)


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("file:///srv/pictures", "/srv/pictures"),
        ("file://localhost/srv/pictures", "/srv/pictures"),
        ("file:///srv/my%20pictures", "/srv/my pictures"),
        ("file:///srv/../pictures/", "/pictures"),
    ],
)
def test_a_folder_takes_precedence_over_image_storage_path(url: str, folder: str) -> None:
    found = settings(url, IMAGE_STORAGE_PATH="/elsewhere")
    assert (found.storage_path, found.s3_storage) == (Path(folder), None)


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("s3://pictures", S3Location("pictures")),
        ("s3://my.pictures-1/", S3Location("my.pictures-1")),
        ("s3://pictures/a/b_c/", S3Location("pictures", "a/b_c/")),
        ("s3://pictures/a?region=eu-west-1", S3Location("pictures", "a/", region="eu-west-1")),
        (
            "s3://pictures?endpoint=http://minio.example:9000/&path_style=on",
            S3Location("pictures", endpoint="http://minio.example:9000", path_style=True),
        ),
        (
            "s3://pictures?endpoint=https%3A%2F%2F%5B%3A%3A1%5D%3A9000",
            S3Location("pictures", endpoint="https://[::1]:9000"),
        ),
        ("s3://pictures?path_style=off", S3Location("pictures", path_style=False)),
    ],
)
def test_a_bucket_leaves_image_storage_path_for_unfinished_files(url: str, location: S3Location) -> None:
    found = settings(url, IMAGE_STORAGE_PATH="/srv/unfinished")
    assert (found.storage_path, found.s3_storage) == (Path("/srv/unfinished"), location)


@pytest.mark.parametrize(
    "url",
    [
        "pictures",
        "/srv/pictures",
        "file:",
        "file://host/srv",
        "file:pictures",
        "file:///srv?x=1",
        "file:///srv%00",
        "https://pictures.example",
        "s3:",
        "s3://",
        "s3:///prefix",
        "s3://ab",
        "s3://Pictures",
        "s3://pictures:9000",
        "s3://id:very-secret@pictures",
        "s3://pict..ures",
        "s3://pictures/../other",
        "s3://pictures/a//b",
        "s3://pictures/a b",
        "s3://pictures#x",
        "s3://pictures?region=",
        "s3://pictures?region=EU",
        "s3://pictures?regoin=eu-west-1",
        "s3://pictures?region=a&region=b",
        "s3://pictures?path_style=yes",
        "s3://pictures?endpoint=",
        "s3://pictures?endpoint=minio.example",
        "s3://pictures?endpoint=ftp://minio.example",
        "s3://pictures?endpoint=https://minio.example/path",
        "s3://pictures?endpoint=https://id:very-secret@minio.example",
        "s3://pictures?endpoint=https://minio.example:99999",
        "s3://pictures?very-secret",
    ],
)
def test_an_invalid_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(BadSetting) as refused:
        settings(url)
    assert str(refused.value).startswith("STORAGE_URL cannot be used: it must be file:///path, or s3://bucket/prefix")
    assert "very-secret" not in str(refused.value)
