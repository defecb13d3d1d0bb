"""What the options say that all commands have: which server, with which key, and how to print."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from imagefleet.access import Access, chosen_access
from imagefleet.output.tables import Column, print_table
from imagefleet.output.terminal import echo, plain

if TYPE_CHECKING:
    from imagefleet.client import Client
    from imagefleet.models import Answer

A = TypeVar("A", bound="Answer")

# A person at a terminal should learn within seconds that the server is down; the library retries longer.
PATIENCE_S = 3.0
Form = Literal["text", "json", "jsonl"]


class Session:
    """One run of a command. `given` are the options of every command, as far as the command line has them."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given
        self.form: Form = _form_of(given)
        self.quiet = bool(given.get("quiet"))

    @cached_property
    def access(self) -> Access:
        """The server and the key. Raises click.UsageError or ProfileError if they cannot be used."""
        return chosen_access(self.option("server"), self.option("key"), self.option("profile"))

    def option(self, name: str) -> str | None:
        """The value of one of the options, None if it is not given."""
        return self._given.get(name)

    @contextmanager
    def connect(self, patience_s: float = PATIENCE_S) -> Iterator[Client]:
        """A client for the server."""
        from imagefleet.client import Client  # noqa: PLC0415 - the HTTP library is slow to load

        with valid_address():
            client = Client(self.access.server, key=self.access.key, patience_s=patience_s)
        with client:
            yield client

    def remark(self, sentence: str) -> None:
        """Print something beside the results, on stderr."""
        if not self.quiet:
            echo(plain(sentence), err=True)

    def show(self, answer: Answer, *lines: str) -> None:
        """Print one answer: as the server sent it, or for a person these lines."""
        if self.form == "text":
            for line in lines:
                echo(plain(line))
        else:
            echo(json.dumps(answer.raw, indent=2 if self.form == "json" else None))

    def line(self, text: str) -> None:
        """Print a line of a result for a person."""
        if self.form == "text":
            echo(plain(text))

    def print_table(self, columns: Sequence[Column], rows: Iterable[Sequence[object]]) -> None:
        """Print rows for a person."""
        print_table(columns, rows)

    def show_each(
        self, answers: Iterable[A], columns: Sequence[Column], row: Callable[[A], Sequence[object]], none: str
    ) -> None:
        """Print a list: a table with a row of each answer, an array, or a line of JSON for each. `none` is said of an empty one."""
        if self.form == "json":
            _print_array(each.raw for each in answers)
        elif self.form == "jsonl":
            for each in answers:
                echo(json.dumps(each.raw))
        elif not print_table(columns, (row(each) for each in answers)):
            self.remark(none)


def _print_array(objects: Iterator[Mapping[str, Any]]) -> None:
    """Print each object as soon as it is there."""
    separator = "["
    for each in objects:
        echo(f"{separator}\n  {json.dumps(each)}", nl=False)
        separator = ","
    echo("[]" if separator == "[" else "\n]")


@contextmanager
def valid_address() -> Iterator[None]:
    """Report an invalid address as an error on the command line."""
    try:
        yield
    except ValueError as error:
        raise click.UsageError(f"{error} Change --server, IMAGEFLEET_URL or the profile.") from None


def _form_of(given: Mapping[str, Any]) -> Form:
    if given.get("json") and given.get("jsonl"):
        raise click.UsageError("Use one of --json and --jsonl.")
    return "json" if given.get("json") else "jsonl" if given.get("jsonl") else "text"


class SharedOption(click.Option):
    """An option that every command has, before the command's name or behind it; the one behind it counts."""


def shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that all commands have. The command gets what they say, a `Session`, as its first argument."""

    @functools.wraps(command)
    def run(*args: Any, **others: Any) -> Any:
        return command(Session(_given(click.get_current_context())), *args, **others)

    decorated: Callable[..., Any] = run
    for option in _SHARED:
        decorated = option(decorated)
    return decorated


def _given(ctx: click.Context) -> dict[str, Any]:
    options: dict[str, Any] = ctx.meta.setdefault("imagefleet.given", {})
    return options


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value:
        _given(ctx)[str(param.name)] = value


def _shared(*names: str, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(*names, cls=SharedOption, expose_value=False, callback=_remember, **options)


_SHARED = (
    _shared("--quiet", "-q", is_flag=True, help="Print no progress and no remarks."),
    _shared("--jsonl", is_flag=True, help="Print each answer of the server as a line of JSON."),
    _shared("--json", is_flag=True, help="Print the server's answer as JSON, with all its fields; a list as an array."),
    _shared("--profile", metavar="NAME", help="Which login to use (else IMAGEFLEET_PROFILE)."),
    _shared(
        "--key",
        metavar="KEY",
        help="API key or token (else IMAGEFLEET_API_KEY). Other users of the machine may see it.",
    ),
    _shared("--server", metavar="URL", help="The server's address (else IMAGEFLEET_URL, else that of the login)."),
)
