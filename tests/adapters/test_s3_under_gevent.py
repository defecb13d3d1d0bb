"""In the web processes, a request to the object storage lets others go on."""

from __future__ import annotations

import pytest

from tests.support.scripted_server import CUT, RecordedRequest, Reply, ScriptedServer
from tests.support.under_gevent import run_under_gevent

PROGRAM = """
import sys, tempfile
from pathlib import Path
import gevent
from app.adapters.s3_client import Patience
from app.adapters.s3_store import S3Store
from app.adapters.store import LocalStore, StoreError
from app.storage_settings import S3Location

patience = Patience(connect_s=1.0, read_s=2.0, attempts=1)
with tempfile.TemporaryDirectory() as folder:
    store = S3Store(S3Location("pictures", endpoint=sys.argv[1]), LocalStore(Path(folder)), patience, patience)
    name = "550e8400-e29b-41d4-a716-446655440000_1.png"
    store.presigned_url(name, 60)  # clients are made
    silent = gevent.spawn(store.has, name)
    turns = 0
    while not silent.ready():
        gevent.sleep(0.01)
        turns += 1
    print(turns > 20, isinstance(silent.exception, StoreError))
"""


@pytest.mark.usefixtures("s3_credentials")
def test_a_silent_storage_does_not_block_the_loop() -> None:
    def hang(_: RecordedRequest) -> Reply:
        server.closing.wait(60)
        return CUT

    with ScriptedServer() as server:
        server.on("HEAD", "/pictures/550e8400-e29b-41d4-a716-446655440000_1.png", hang)
        output, _ = run_under_gevent(PROGRAM, argument=server.url)
    assert output.splitlines()[-1] == "True True"
