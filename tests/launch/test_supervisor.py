"""The supervisor, in a separate process, as the launcher and the worker use it."""

from __future__ import annotations

import json
import re
import signal

import pytest

from app.launch.supervisor import Backoff
from tests.support.fake_programs import Start, fake_program
from tests.support.processes import StartedProcess
from tests.support.waiting import until

RUN = """
import asyncio, json, sys
from app.launch.console import print_line
from app.launch.process import Command
from app.launch.supervisor import Backoff, Supervisor

async def main(services, grace_s, captured, together):
    backoff = Backoff(first_s=0.05, most_s=0.2, healthy_s=60)
    async with Supervisor(print_line, print_line if captured else None, backoff, stop_together=together) as supervisor:
        for name, command in services.items():
            supervisor.start(Command(name, tuple(command), grace_s))
        await supervisor.run()
    print("all stopped", flush=True)

asyncio.run(main(**json.loads(sys.argv[1])))
"""


def supervise(
    start: Start, *, grace_s: float = 30, captured: bool = True, together: bool = False, **services: list[str]
) -> StartedProcess:
    options = {"services": services, "grace_s": grace_s, "captured": captured, "together": together}
    run = start("-c", RUN, json.dumps(options))
    for command in services.values():
        if "end" not in command and "print-no-newline" not in command:
            run.wait_for_output(" ".join(["started", *command[2:]]))
    return run


def logged_lines(run: StartedProcess) -> list[tuple[str, str]]:
    lines = [line.partition(" | ") for line in run.output.splitlines()]
    return [(name.strip(), text) for name, _, text in lines]


def test_a_program_that_ends_is_restarted_after_growing_pauses(start: Start) -> None:
    run = supervise(start, short=fake_program("end"))
    until(lambda: run.output.count("restarting in 0.2 s") >= 2, 30)
    pauses = re.findall(r"short +\| exited with status 7; restarting in (\S+) s", run.output)
    assert pauses[:4] == ["0.05", "0.1", "0.2", "0.2"]


@pytest.mark.parametrize(("quick_exits", "delay_s"), [(1, 0.5), (2, 1), (3, 2), (6, 16), (7, 30), (10**9, 30)])
def test_the_pause_doubles_up_to_a_limit(quick_exits: int, delay_s: float) -> None:
    assert Backoff().delay_s(quick_exits) == delay_s


def test_a_killed_program_is_restarted(start: Start) -> None:
    run = supervise(start, only=fake_program("alone"))
    [first] = [process for process in run.family() if "alone" in process.cmdline()]
    first.kill()
    run.wait_for_output("exited with status 137")
    until(lambda: run.output.count("started alone") == 2, 30)


def test_a_missing_program_is_reported_and_tried_again(start: Start) -> None:
    run = supervise(start, lost=["no-such-program", "end"])
    run.wait_for_output("lost       | cannot be started ([Errno 2] No such file or directory: 'no-such-program')")
    run.wait_for_output("restarting in 0.1 s")


def test_programs_are_stopped_in_reverse_order_of_their_start(start: Start) -> None:
    run = supervise(start, one=fake_program("1"), two=fake_program("2", "slow"), three=fake_program("3"))
    run.send(signal.SIGTERM)
    assert run.wait_for_exit() == 0
    assert [name for name, text in logged_lines(run) if text == "stopping"] == ["three", "two", "one"]
    assert run.output.endswith("all stopped\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_requested_stop_ends_with_status_0_and_leaves_no_processes(start: Start, number: signal.Signals) -> None:
    run = supervise(start, only=fake_program("parent"))
    assert len(run.family()) == 3
    run.send(number)
    assert run.wait_for_exit() == 0
    run.wait_until_all_ended()


def test_a_stop_also_ends_the_wait_for_a_restart(start: Start) -> None:
    run = supervise(start, short=fake_program("end"))
    until(lambda: run.output.count("restarting in 0.2 s") >= 2, 30)
    run.send(signal.SIGTERM)
    assert run.wait_for_exit() == 0


def test_a_program_that_ignores_the_signal_is_killed_after_the_grace_period(start: Start) -> None:
    run = supervise(start, grace_s=0.2, deaf=fake_program("stubborn", "parent"))
    run.send(signal.SIGTERM)
    assert run.wait_for_exit() == 0
    run.wait_until_all_ended()
    assert ("deaf", "did not stop in time and was killed") in logged_lines(run)


def test_a_second_signal_ends_the_grace_period(start: Start) -> None:
    run = supervise(start, grace_s=600, one=fake_program("stubborn"), two=fake_program("stubborn"))

    def asked_again() -> bool:
        run.send(signal.SIGINT)
        return run.process.poll() is not None

    until(asked_again, 30)
    assert run.process.returncode == 0
    run.wait_until_all_ended()


def test_a_repeated_signal_at_the_same_moment_counts_once(start: Start) -> None:
    run = supervise(start, slow=fake_program("slow"))
    run.send(signal.SIGINT)
    run.send(signal.SIGTERM)
    assert run.wait_for_exit() == 0
    assert ("slow", "stopping") in logged_lines(run)


def test_programs_can_be_stopped_at_the_same_time(start: Start) -> None:
    run = supervise(start, together=True, grace_s=600, first=fake_program("1"), last=fake_program("stubborn"))
    run.send(signal.SIGTERM)
    run.wait_for_output("first      | stopping")


def test_a_killed_supervisor_leaves_no_processes(start: Start) -> None:
    run = supervise(start, one=fake_program("stubborn", "1"), two=fake_program("stubborn", "2"))
    assert len(run.family()) == 3
    run.process.kill()
    run.wait_until_all_ended()


def test_processes_that_a_program_leaves_behind_are_ended_with_it(start: Start) -> None:
    run = supervise(start, short=fake_program("parent", "end"))
    until(lambda: run.output.count("started parent") >= 3, 30)
    run.send(signal.SIGTERM)
    assert run.wait_for_exit() == 0
    assert run.output.count("exited with status 7") >= 2  # its child keeps the pipe open, which must delay nothing
    run.wait_until_all_ended()


def test_every_line_starts_with_the_name_of_its_program(start: Start) -> None:
    run = supervise(start, one=fake_program("1"), two=fake_program("2"))
    assert {("one", "started 1"), ("two", "started 2")} <= set(logged_lines(run))


def test_long_lines_and_unfinished_lines_and_invalid_bytes_are_passed_on(start: Start) -> None:
    run = supervise(start, loud=fake_program("print-no-newline", "end"))
    run.wait_for_output("loud       | exited with status 7")
    lines = [text for name, text in logged_lines(run) if name == "loud"]
    before = lines[: lines.index("exited with status 7; restarting in 0.05 s")]
    assert "".join(before) == "x" * 200_000 + " then \ufffd and no end of line"


def test_without_capture_programs_print_to_our_output(start: Start) -> None:
    run = supervise(start, captured=False, plain=fake_program("as", "it", "is"))
    assert run.output == "started as it is\n"
