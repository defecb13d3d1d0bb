"""Checks before anything is started, each with an error of one line. Needs nothing but the standard library."""

import errno
import os
import socket
import ssl
import tempfile
from pathlib import Path

from app.config import Settings


class NotReady(Exception):
    """Something outside the program must be changed first; the text names it in one line."""


def check_ports(settings: Settings) -> None:
    """Raises NotReady if the service cannot listen on PORT or WS_PORT."""
    for variable, port in (("PORT", settings.port), ("WS_PORT", settings.ws_port)):
        if port:
            _check_port(settings.host, port, variable)


def check_tls(settings: Settings) -> None:
    """Raises NotReady if TLS_CERT and TLS_KEY are given and cannot be used together."""
    if settings.tls is None:
        return
    files = {"TLS_CERT": settings.tls.certificate, "TLS_KEY": settings.tls.key}
    for variable, path in files.items():
        try:
            path.open("rb").close()
        except OSError as problem:
            raise NotReady(f"{variable}={path}: the file cannot be read ({os.strerror(problem.errno or 0)}).") from None
    try:
        # with a pass phrase the server would ask for it at a terminal
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            settings.tls.certificate, settings.tls.key, password=lambda: ""
        )
    except (ssl.SSLError, ValueError):
        raise NotReady(
            f"TLS_CERT={settings.tls.certificate}: it must be a PEM certificate that belongs to TLS_KEY, and the key must have no pass phrase."
        ) from None


def check_folders(settings: Settings) -> None:
    """Create the folders of the pictures and of the SQLite file if they are missing. Raises NotReady."""
    writable_folder(settings.storage_path, "IMAGE_STORAGE_PATH")
    if settings.is_sqlite:
        writable_folder(sqlite_file(settings.database_url).parent, "DATABASE_URL")


def writable_folder(folder: Path, variable: str) -> None:
    """Create it if it is missing; its parent must exist. Raises NotReady, naming the variable to change."""
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as problem:
        raise NotReady(f"{variable}: the folder {folder} cannot be used: {_why(problem, folder)}.") from None


def _why(problem: OSError, folder: Path) -> str:
    if isinstance(problem, FileNotFoundError) and not folder.parent.exists():
        return f"{folder.parent} does not exist"
    return os.strerror(problem.errno or 0)


def sqlite_file(url: str) -> Path:
    """The file that an address `sqlite:///…` names."""
    return Path(url.partition("://")[2].partition("?")[0].removeprefix("/")).resolve()


def _check_port(host: str, port: int, variable: str) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as problem:
        raise NotReady(f"HOST={host}: there is no such address ({problem.strerror}).") from None
    with socket.socket(family, kind, protocol) as probe:
        # As the server does: sockets of an earlier run in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as problem:
            raise NotReady(_no_port(host, port, variable, problem)) from None


def _no_port(host: str, port: int, variable: str, problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return (
            f"{variable}={port}: port {port} of {host} is in use; stop what listens there or set {variable} to another."
        )
    if problem.errno == errno.EACCES:
        return f"{variable}={port}: this user may not listen on port {port}; set {variable} to one above 1023."
    return f"HOST={host}: the service cannot listen on this address ({os.strerror(problem.errno or 0)})."
