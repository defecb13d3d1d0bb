"""Logs: one line for each record, as JSON or as text, whatever the values are."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app import logs
from app.domain.states import TABLE
from tests.support.log_capture import written

ROOT = Path(__file__).parents[1]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@contextlib.contextmanager
def logged(level: str = "info") -> Iterator[list[dict[str, Any]]]:
    """The same as JSON; the list is filled with one object per line at the end of the block."""
    lines: list[dict[str, Any]] = []
    with written(level) as stderr:
        yield lines
    lines += [json.loads(line, parse_constant=refuse) for line in stderr.getvalue().splitlines()]


def refuse(name: str) -> None:
    raise AssertionError(f"{name} is no JSON")


def test_a_line_contains_the_event_and_its_place_and_time() -> None:
    with logged() as lines:
        logs.get("app.somewhere").info("An extension connected", action="extension.connected", extension_id="e1")
    (line,) = lines
    at = line.pop("timestamp")
    assert at.endswith("Z")
    assert line == {
        "message": "An extension connected",
        "action": "extension.connected",
        "extension_id": "e1",
        "level": "info",
        "logger": "app.somewhere",
    }


HOSTILE = [
    "two\nlines",
    "carriage\rreturn",
    '"}\n{"message": "forged"}',
    "\x00\x1b[31m\x7f\x85",
    "\u2028\u2029",
    "\ud800 alone",
    b"bytes \xff",
    float("nan"),
    float("inf"),
    2**100,
    {"a": {"b": [float("nan"), {1, 2}]}},
    {(1, 2): "a key that JSON does not have"},
    object(),
    ValueError("no"),
    None,
]


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_every_record_is_one_object_on_one_line(value: object) -> None:
    with logged() as lines:
        logs.get("app").info(str(value), action="test", value=value)
        logging.getLogger("library").warning("They say: %s", value, extra={"value": value})
    ours, theirs = lines
    assert (ours["message"], ours["level"]) == (str(value), "info")
    assert (theirs["message"], theirs["level"]) == (f"They say: {value}", "warning")
    assert "value" in ours
    assert "value" in theirs


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


def test_a_value_without_representation_is_still_one_line() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with logged() as lines:
        logs.get("app").info("It happened", value=Unspeakable(), count=5)
        logs.get("app").info("It happened", value=endless)
        logging.getLogger("library").warning("They say: %s", Unspeakable())
    assert [line["message"] for line in lines[:2]] == ["It happened", "It happened"]
    assert (lines[0]["value"], lines[0]["count"]) == ("<Unspeakable>", 5)
    assert lines[2]["message"].startswith("They say: %s")


def test_a_wrong_logging_call_of_a_library_is_one_line_too() -> None:
    with logged() as lines:
        logging.getLogger("library").warning("%d pieces", "many")
    (line,) = lines
    assert (line["message"], line["level"]) == ("%d pieces ('many',)", "warning")


def test_an_exception_is_part_of_its_line() -> None:
    with logged() as lines:
        try:
            raise ValueError("two\nlines")
        except ValueError:
            logs.get("app").exception("It broke", action="test.broken")
            logging.getLogger("library").exception("It broke")
    assert len(lines) == 2
    for line in lines:
        assert (line["message"], line["level"]) == ("It broke", "error")
        assert "ValueError: two\nlines" in line["exception"]


def test_the_correlation_id_is_on_every_line() -> None:
    with logged() as lines:
        with logs.correlated("correlation-1"):
            logs.get("app").info("ours")
            logging.getLogger("library").warning("theirs")
        logs.get("app").info("after it")
    assert [line.get("correlation_id") for line in lines] == ["correlation-1", "correlation-1", None]


def test_a_line_may_have_another_correlation_id() -> None:
    with logged() as lines, logs.correlated("correlation-1"):
        logs.get("app").info("of another", correlation_id="correlation-2")
    assert [line["correlation_id"] for line in lines] == ["correlation-2"]


@pytest.mark.parametrize(("level", "written"), [("info", []), ("debug", ["ours", "theirs"])])
def test_records_below_the_level_are_not_written(level: str, written: list[str]) -> None:
    with logged(level) as lines:
        logs.get("app").debug("ours")
        logging.getLogger("library").debug("theirs")
        logging.getLogger("kombu").info("chatter")
    assert [line["message"] for line in lines] == written


@pytest.mark.parametrize("text", ["12345678", "a" * 128, "A.b_c-9" * 2, "-._-._-._"])
def test_a_valid_correlation_id_is_used(text: str) -> None:
    assert logs.well_formed(text)


@pytest.mark.parametrize(
    "text", [None, "", "1234567", "a" * 129, "with space", "line\nbreak", "12345678\n", "ümlaut-id"]
)
def test_an_invalid_correlation_id_is_replaced(text: str | None) -> None:
    assert not logs.well_formed(text)


@pytest.mark.parametrize(
    ("log_format", "to", "as_json"),
    [
        ("auto", io.StringIO, True),
        ("auto", Terminal, False),
        ("json", Terminal, True),
        ("text", io.StringIO, False),
    ],
)
def test_a_terminal_gets_text_and_everything_else_json(log_format: str, to: type[io.StringIO], as_json: bool) -> None:
    with written("info", log_format, to()) as stderr:
        logs.get("app").info("An extension connected", extension_id="e1")
    assert stderr.getvalue().startswith("{") == as_json
    assert "An extension connected" in stderr.getvalue()


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_in_text_a_value_can_neither_begin_a_line_nor_control_the_terminal(value: object) -> None:
    with written("info", "text") as stderr:
        logs.get("app").info(str(value), value=value)
        logging.getLogger("library").warning("They say: %s", value, extra={"value": value})
    assert len(stderr.getvalue().splitlines()) == 2
    assert stderr.getvalue().replace("\n", "").isprintable()


def test_in_text_a_traceback_is_indented_so_that_its_message_is_no_line_of_its_own() -> None:
    with written("info", "text") as stderr:
        try:
            raise ValueError("two\n2026-01-01 00:00:00 [info     ] forged\x1b[31m")
        except ValueError:
            logs.get("app").exception("It broke")
            logging.getLogger("library").exception("It broke")
    lines = stderr.getvalue().splitlines()
    assert [line.endswith("It broke") or "It broke " in line for line in lines if not line.startswith("    ")] == [
        True,
        True,
    ]
    assert any("forged" in line for line in lines)
    assert stderr.getvalue().replace("\n", "").isprintable()


def test_in_text_a_value_without_representation_is_still_one_line() -> None:
    with written("info", "text") as stderr:
        logs.get("app").info("It happened", value=Unspeakable())
    assert "<Unspeakable>" in stderr.getvalue()


SECRET = "canary4711"


@pytest.mark.parametrize(
    "text",
    [
        f"Failed to parse headers (url=https://images.example/p.png?X-Amz-Signature={SECRET}): no",
        f"GET /p.png?sig={SECRET}&more={SECRET} HTTP/1.1",
        f"Cannot connect to redis://user:{SECRET}@host:6379/0 (postgresql://{SECRET}@host/x)",
        f"Invalid header: Authorization: Bearer {SECRET}",
        f"{{'Authorization': 'Bearer {SECRET}', 'Cookie': 'a={SECRET}'}}",
        f"Cookie: session={SECRET}; other={SECRET}",
        f"X-API-Key: {SECRET}",
        f"Sec-WebSocket-Protocol: imagefleet, token.{SECRET}",
    ],
)
def test_a_secret_in_the_record_of_a_library_is_masked(text: str) -> None:
    with written() as stderr:
        logging.getLogger("library").warning(text)
        logging.getLogger("library").warning("They say: %s", text, extra={"more": text})
    assert SECRET not in stderr.getvalue()
    assert len(stderr.getvalue().splitlines()) == 2


@pytest.mark.parametrize("name", ["urllib3.connection", "urllib3.connectionpool", "urllib3"])
def test_urllib3_logs_nothing(name: str) -> None:
    with written("debug") as stderr:
        logging.getLogger(name).critical("A header as it was received: %s", SECRET)
    assert stderr.getvalue() == ""


@pytest.mark.parametrize(
    "name", ["requests", "redis.connection", "kombu.transport.redis", "werkzeug", "PIL.PngImagePlugin"]
)
def test_libraries_log_nothing_of_their_traffic_even_at_debug(name: str) -> None:
    with written("debug") as stderr:
        logging.getLogger(name).info("Sent: %s", SECRET)
    assert stderr.getvalue() == ""


def test_every_action_is_explained() -> None:
    """And none that does not exist."""
    text = (ROOT / "docs" / "logs.md").read_text()
    explained = {name for line in text.splitlines() if line.startswith("| `") for name in _names(line)}
    source = "".join(path.read_text() for folder in ("app", "worker") for path in (ROOT / folder).rglob("*.py"))
    literal = set(re.findall(r'action="([a-z_.]+)"', source)) - {"ignore"}
    steps = {transition.step.value for transition in TABLE.values() if transition.event and transition.sources}
    background = {f"{name}.failed" for name in re.findall(r'BackgroundRunner\("(\w+)"\)', source)}
    reports = {"image_generation_progress", "image_generation_failed"}
    assert explained == literal | steps | background | reports


def _names(row: str) -> list[str]:
    return re.findall(r"`([a-z_.]+)`", row.split("|")[1])
