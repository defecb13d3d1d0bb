"""Settings that are refused before anything is started."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from app.config import Settings
from app.launch.checks import NotReady, check_folders, check_ports, check_tls, writable_folder
from tests.support.certificates import self_signed
from tests.support.ports import free_port


def settings(**env: str) -> Settings:
    return Settings.from_env(env)


def refusal_of_ports(**env: str) -> str:
    with pytest.raises(NotReady) as refused:
        check_ports(settings(**env))
    return str(refused.value)


def test_free_ports_are_free_afterwards_too() -> None:
    port = free_port()
    for _ in range(2):
        check_ports(settings(PORT=str(port)))


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_a_port_in_use_on_all_addresses_is_in_use_on_each(host: str) -> None:
    with socket.create_server(("0.0.0.0", 0)) as listener:
        port = listener.getsockname()[1]
        line = refusal_of_ports(HOST=host, PORT=str(port))
    assert line == f"PORT={port}: port {port} of {host} is in use; stop what listens there or set PORT to another."


def test_the_error_names_an_address_of_another_machine() -> None:
    line = refusal_of_ports(HOST="192.0.2.1", PORT=str(free_port()))
    assert line == "HOST=192.0.2.1: the service cannot listen on this address (Cannot assign requested address)."


def test_the_error_names_an_invalid_host_name() -> None:
    assert refusal_of_ports(HOST="no-such-host.invalid").startswith(
        "HOST=no-such-host.invalid: there is no such address"
    )


def test_missing_folders_are_created(tmp_path: Path) -> None:
    pictures, data = tmp_path / "pictures", tmp_path / "data"
    check_folders(settings(IMAGE_STORAGE_PATH=str(pictures), DATABASE_URL=f"sqlite:///{data}/imagefleet.db?timeout=5"))
    assert pictures.is_dir()
    assert data.is_dir()
    assert not list(pictures.iterdir())


def test_an_external_database_needs_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    check_folders(settings(DATABASE_URL="postgresql://db/imagefleet"))
    assert [path.name for path in tmp_path.iterdir()] == ["generated-images"]


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("/proc/self", "No such file or directory"),  # it exists, but is not writable
        ("missing/pictures", "missing does not exist"),
        ("file", "File exists"),
        ("file/pictures", "Not a directory"),
    ],
)
def test_the_error_explains_why_a_folder_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(NotReady) as refused:
        writable_folder(Path(folder), "IMAGE_STORAGE_PATH")
    assert str(refused.value) == f"IMAGE_STORAGE_PATH: the folder {folder} cannot be used: {why}."


def refusal_of_tls(certificate: Path, key: Path) -> str:
    with pytest.raises(NotReady) as refused:
        check_tls(settings(TLS_CERT=str(certificate), TLS_KEY=str(key)))
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_certificate_with_its_key_is_accepted(tmp_path: Path) -> None:
    made = self_signed(tmp_path)
    check_tls(settings(TLS_CERT=str(made.file), TLS_KEY=str(made.key)))
    check_tls(settings())


def test_the_error_names_an_unusable_certificate(tmp_path: Path) -> None:
    made, other = self_signed(tmp_path), self_signed(tmp_path, "other")
    locked = self_signed(tmp_path, "locked", passphrase="a pass phrase")
    missing = tmp_path / "missing.pem"
    assert (
        refusal_of_tls(missing, made.key) == f"TLS_CERT={missing}: the file cannot be read (No such file or directory)."
    )
    assert refusal_of_tls(made.file, missing).startswith(f"TLS_KEY={missing}: ")
    for certificate, key in ((made.file, other.key), (made.key, made.file), (locked.file, locked.key)):
        assert refusal_of_tls(certificate, key).startswith(f"TLS_CERT={certificate}: it must be a PEM certificate")
