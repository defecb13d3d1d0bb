"""The launcher with fake programs as web, worker and beat, and a real embedded Redis."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
import redis

from app.adapters.local_redis import PROGRAMS
from tests.support.fake_programs import Start, create_project_folder, fake_program
from tests.support.ports import free_port, free_ports
from tests.support.processes import StartedProcess
from tests.support.waiting import until

READY = "Imagefleet is ready."


def write_procfile(services: Path, **behaviours: str) -> None:
    lines = [f"{name}: {' '.join(fake_program(*text.split()))}" for name, text in behaviours.items()]
    (services / "Procfile").write_text("\n".join(["# fake programs", "", *lines]))


@pytest.fixture
def services(services: Path) -> Path:
    write_procfile(services, worker="work print-settings", web="serve", beat="tick")
    return services


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1) as client:
        client.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        return client.recv(100).startswith(b"HTTP/1.0 200")
    return False


def launch(start: Start, **env: str) -> StartedProcess:
    return start("-m", "app.launch", **{"PORT": str(free_port()), "DEMO": "off", **env})


def refusal(run: StartedProcess, status: int = 1) -> str:
    """The one line printed by a launcher that starts nothing."""
    assert run.wait_for_exit() == status, run.output
    assert run.output.count("\n") == 1, run.output
    return run.output.strip()


def ask_redis(url: str) -> redis.Redis:
    return redis.Redis.from_url(url, decode_responses=True)


def redis_url_of(run: StartedProcess) -> str:
    run.wait_for_output("REDIS_URL=")
    return run.output.partition("REDIS_URL=")[2].split()[0]


def test_a_port_in_use_is_reported_in_one_line_with_the_port_and_the_variable(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken, free = listener.getsockname()[1], free_port()
        line = refusal(launch(start, PORT=str(taken)))
        assert line.startswith(f"PORT={taken}: port {taken} of 127.0.0.1 is in use")
        line = refusal(launch(start, PORT=str(free), WS_PORT=str(taken)))
        assert line.startswith(f"WS_PORT={taken}: port {taken} of 127.0.0.1 is in use")


@pytest.mark.parametrize(("variable", "value"), [("PORT", "http"), ("DATABASE_URL", "mysql://x"), ("DEMO", "maybe")])
def test_a_bad_setting_is_one_line_and_status_2(start: Start, variable: str, value: str) -> None:
    assert refusal(launch(start, **{variable: value}), status=2).startswith(f"{variable}={value!r} cannot be used:")


def test_a_folder_that_cannot_be_created_is_reported_in_one_line(start: Start, tmp_path: Path) -> None:
    line = refusal(launch(start, IMAGE_STORAGE_PATH=str(tmp_path / "no" / "pictures")))
    assert (
        line == f"IMAGE_STORAGE_PATH: the folder {tmp_path}/no/pictures cannot be used: {tmp_path}/no does not exist."
    )


def test_an_unusable_data_folder_is_reported_in_one_line(start: Start, services: Path) -> None:
    (services / "data").write_text("a file")
    line = refusal(launch(start))
    assert line == f"DATABASE_URL: the folder {services}/data cannot be used: File exists."


def test_an_unreadable_procfile_is_reported_in_one_line(start: Start, services: Path) -> None:
    (services / "Procfile").write_text("web serve")
    assert (
        refusal(launch(start))
        == "Procfile, line 1: 'web serve' must be `name: command`, with a name that no other line has."
    )


def test_an_unreachable_database_ends_the_start(start: Start) -> None:
    run = launch(start, REDIS_URL="redis://127.0.0.1:1/0", DATABASE_URL=f"postgresql://127.0.0.1:{free_port()}/x")
    assert refusal(run).startswith("DATABASE_URL: the database cannot be used (connection failed:")


def test_it_starts_everything_and_suggests_a_first_command(start: Start, services: Path) -> None:
    port, sockets = free_ports(2)
    run = launch(start, PORT=str(port), WS_PORT=str(sockets))
    run.wait_for_output("Ctrl-C stops everything.")
    assert (
        f"curl -s http://127.0.0.1:{port}/api/images/generate -H 'Content-Type: application/json' -d '{{" in run.output
    )
    assert f"ws://127.0.0.1:{sockets}/ws" in run.output
    run.wait_for_output(f"DATABASE_URL=sqlite:///data/imagefleet.db WS_PORT={sockets}")
    assert ask_redis(redis_url_of(run)).ping()
    assert (services / "data" / "imagefleet.db").stat().st_size > 0
    for line in ("worker     | started work print-settings", "web        | started serve", "beat       | started tick"):
        run.wait_for_output(line)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_in_order(start: Start, services: Path, number: signal.Signals) -> None:
    run = launch(start)
    for name in ("worker", "web", "beat"):
        run.wait_for_output(f"{name:<10} | started")
    run.wait_for_output(READY)
    run.send(number)
    assert run.wait_for_exit() == 0
    run.wait_until_all_ended()
    ends = [line.partition(" ")[0] for line in run.output.splitlines() if "stopping" in line]
    assert ends == ["beat", "web", "worker"]
    assert "bye bye" in (services / "data" / "redis" / "redis.log").read_text()


def test_redis_writes_nothing_to_disk_but_its_log(start: Start, services: Path) -> None:
    run = launch(start)
    run.wait_for_output(READY)
    ask_redis(redis_url_of(run)).rpush("dispatch", "a wake-up")
    run.send(signal.SIGTERM)
    assert run.wait_for_exit() == 0
    left = {path.name for path in (services / "data" / "redis").iterdir()}
    assert left == {"lock", "redis.log"}
    again = launch(start)
    again.wait_for_output(READY)
    assert ask_redis(redis_url_of(again)).dbsize() == 0


def test_a_killed_launcher_leaves_no_processes_and_the_next_one_starts(start: Start) -> None:
    run = launch(start)
    run.wait_for_output(READY)
    run.process.kill()
    run.wait_until_all_ended()
    launch(start).wait_for_output(READY)


def test_a_second_launcher_in_the_same_folder_is_refused(start: Start, services: Path) -> None:
    launch(start).wait_for_output(READY)
    assert refusal(launch(start)) == f"Another `make run` is running in {services}/data: stop it, or set REDIS_URL."


def test_with_both_urls_set_no_server_is_started_and_no_data_folder_created(
    start: Start, services: Path, tmp_path: Path, redis_url: str
) -> None:
    run = launch(start, REDIS_URL=redis_url, DATABASE_URL=f"sqlite:///{tmp_path}/own.db")
    run.wait_for_output(READY)
    assert redis_url_of(run) == redis_url
    assert not any(process.name() in PROGRAMS for process in run.family())
    assert not (services / "data").exists()


def test_in_a_folder_with_a_long_path_the_socket_is_elsewhere_and_is_removed_with_the_launcher(
    start: Start, services: Path
) -> None:
    deep = create_project_folder(services / ("deep" * 25))
    write_procfile(deep, worker="work print-settings", web="serve")
    run = start("-c", "import os, runpy, sys; os.chdir(sys.argv[1]); sys.path[0] = sys.argv[1]; "
                "runpy.run_module('app.launch', run_name='__main__')", str(deep), PORT=str(free_port()), DEMO="off")  # fmt: skip
    run.wait_for_output(READY)
    socket_path = Path(redis_url_of(run).removeprefix("unix://").partition("?")[0])
    assert socket_path.is_socket()
    assert socket_path.is_relative_to(tempfile.gettempdir())
    assert socket_path.parent.stat().st_mode & 0o077 == 0
    assert (deep / "data" / "redis" / "redis.log").exists()
    run.send(signal.SIGTERM)
    assert run.wait_for_exit() == 0
    assert not socket_path.parent.exists()


def test_a_program_that_never_becomes_ready_ends_the_start(start: Start, services: Path) -> None:
    write_procfile(services, worker="work", web="end")
    run = launch(start)
    assert run.wait_for_exit() == 1
    assert run.output.endswith("web does not start; see its output above.\n")
    run.wait_until_all_ended()


def test_a_signal_during_the_start_stops_the_launcher(start: Start, services: Path) -> None:
    write_procfile(services, web="silent")
    run = launch(start)
    run.wait_for_output("started silent")
    run.send(signal.SIGINT)
    assert run.wait_for_exit() == 0
    run.wait_until_all_ended()


def test_a_closed_output_pipe_stops_nothing(services: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "app.launch"]
    env = {**os.environ, "PORT": str(port), "DEMO": "off"}
    with subprocess.Popen(command, cwd=services, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        until(lambda: answers(port), 30)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
