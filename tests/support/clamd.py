"""A real clamd with test signatures, and fake ones that violate the protocol."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from os import environ, getpid
from pathlib import Path

from app.adapters.scanner import ClamdScanner
from app.launch.parent_death import end_with_parent
from tests.support.missing import missing
from tests.support.waiting import until

# The test file that every scanner detects, in two parts so that this source file is not detected.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + rb"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
MARKER = b"imagefleet harmful marker"
STREAM_BYTES = 2 * 2**20

CONFIG = """
LocalSocket {folder}/clamd.sock
PidFile {folder}/clamd.pid
DatabaseDirectory {folder}/signatures
TemporaryDirectory {folder}
StreamMaxLength 2M
Foreground yes
LogSyslog no
"""


@contextmanager
def real_clamd(folder: Path) -> Iterator[str]:
    """The URL of a clamd that knows EICAR and MARKER; `folder` is a short path."""
    program = shutil.which("clamd", path=f"{environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        missing("clamd is missing: apt-get install clamav-daemon")
    signatures = folder / "signatures"
    signatures.mkdir()
    (signatures / "own.ndb").write_text(f"Own.Eicar:0:0:{EICAR.hex()}\nOwn.Marker:0:*:{MARKER.hex()}\n")
    (folder / "clamd.conf").write_text(CONFIG.format(folder=folder))
    url = f"unix://{folder}/clamd.sock"
    with (folder / "clamd.log").open("wb") as log:
        process = subprocess.Popen(
            [program, "--config-file", str(folder / "clamd.conf")],
            stdout=log,
            stderr=log,
            preexec_fn=partial(end_with_parent, getpid()),  # noqa: PLW1509 - two system calls, and no lock
        )
    try:
        until(lambda: _answers(folder / "clamd.sock"), 60, f"clamd; its log: {(folder / 'clamd.log').read_text()}")
        yield url
    finally:
        process.terminate()
        process.wait(20)


def _answers(path: Path) -> bool:
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(2)
        sock.connect(str(path))
        sock.sendall(b"zPING\0")
        return sock.recv(16) == b"PONG\0"
    return False


@contextmanager
def fake_clamd(act: Callable[[socket.socket], None], timeout_s: float = 5.0) -> Iterator[ClamdScanner]:
    """A scanner whose server calls `act` for each connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        act(connection)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield ClamdScanner(f"tcp://127.0.0.1:{listener.getsockname()[1]}", timeout_s)
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def read_stream(connection: socket.socket) -> bytes:
    """Receive the whole file that was sent for scanning."""
    file = connection.makefile("rb")
    assert file.read(10) == b"zINSTREAM\0"
    content = b""
    while size := int.from_bytes(file.read(4), "big"):
        content += file.read(size)
    return content
