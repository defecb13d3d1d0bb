"""gunicorn with our configuration and a small application in place of the real one."""

from __future__ import annotations

import signal
import socket
import urllib.request
from pathlib import Path

import pytest

from tests.support.fake_programs import ROOT, Start
from tests.support.ports import free_port, free_ports
from tests.support.processes import StartedProcess
from tests.support.waiting import until

APPLICATION = """
import os, gevent
from flask import Flask

class Hub:
    def shutdown(self):
        print("the hub takes leave", flush=True)
        gevent.sleep(float(os.environ.get("LEAVE_S", "0")))
        if "BROKEN" in os.environ:
            raise RuntimeError("broken hub")
        print("the hub has taken leave", flush=True)
    def close(self):
        print("the hub is closed", flush=True)

app = Flask(__name__)
app.extensions["hub"] = Hub()

@app.get("/")
def front():
    return "here"

@app.get("/slow")
def slow():
    print("slow request", flush=True)
    gevent.sleep(1)
    return "done"
"""


@pytest.fixture
def services(services: Path) -> Path:
    (services / "gunicorn.conf.py").symlink_to(ROOT / "gunicorn.conf.py")
    (services / "wsgi.py").write_text(APPLICATION)
    return services


def serve(start: Start, **env: str) -> StartedProcess:
    return start("-m", "gunicorn", "-c", "gunicorn.conf.py", "wsgi:app", **env)


def get(port: int, path: str = "/") -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
        return str(answer.read().decode())


def answers(port: int) -> bool:
    try:
        return get(port) == "here"
    except OSError:
        return False


def serving(start: Start, **env: str) -> tuple[StartedProcess, int]:
    port = free_port()
    run = serve(start, PORT=str(port), **env)
    until(lambda: answers(port), 30)
    return run, port


def test_with_port_alone_it_listens_on_that_port(start: Start) -> None:
    run, port = serving(start)
    listening = {
        connection.laddr.port
        for process in run.family()
        for connection in process.net_connections()
        if connection.status == "LISTEN"
    }
    assert listening == {port}


def test_with_ws_port_it_listens_on_both(start: Start) -> None:
    port, sockets = free_ports(2)
    serve(start, PORT=str(port), WS_PORT=str(sockets))
    until(lambda: answers(port) and answers(sockets), 30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_the_hub_closes_its_sockets_before_a_worker_stops(start: Start, number: signal.Signals) -> None:
    run, _ = serving(start)
    run.send(number)
    assert run.wait_for_exit() == 0
    assert run.output == "the hub takes leave\nthe hub has taken leave\nthe hub is closed\n"


def test_running_requests_are_answered_before_a_worker_stops(start: Start) -> None:
    run, port = serving(start)
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        run.wait_for_output("slow request")
        run.send(signal.SIGTERM)
        assert b"".join(iter(lambda: client.recv(4096), b"")).endswith(b"done")
    assert run.wait_for_exit() == 0


@pytest.mark.parametrize("trouble", [{"LEAVE_S": "600"}, {"BROKEN": "1"}])
def test_a_hub_that_hangs_or_fails_does_not_delay_the_stop(start: Start, trouble: dict[str, str]) -> None:
    run, _ = serving(start, **trouble)
    run.send(signal.SIGTERM)
    assert run.wait_for_exit(timeout_s=15) == 0


def test_a_port_in_use_is_one_line(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        run = serve(start, PORT=str(port))
        assert run.wait_for_exit() == 1
    assert (
        run.output
        == f"PORT={port}: port {port} of 127.0.0.1 is in use; stop what listens there or set PORT to another.\n"
    )


def test_a_bad_setting_is_one_line(start: Start) -> None:
    run = serve(start, PORT="http")
    assert run.wait_for_exit() == 1
    assert run.output == "PORT='http' cannot be used: it must be a whole number of at least 1 and at most 65535.\n"


def test_workers_of_a_master_that_was_killed_end_with_it(start: Start) -> None:
    run, _ = serving(start, WEB_PROCESSES="2")
    until(lambda: len(run.family()) == 3, 30)
    run.process.kill()
    run.wait_until_all_ended()
