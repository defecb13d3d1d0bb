"""What the options say that all commands have: which server, with which key, and how to print."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from imagefleet.access import Access, chosen_access
from imagefleet.terminal import plain

if TYPE_CHECKING:
    from imagefleet.client import Client
    from imagefleet.models import Answer

A = TypeVar("A", bound="Answer")

# A person at a terminal should learn within seconds that the server is down; the library retries longer.
PATIENCE_S = 3.0
_CHOICES = "imagefleet.access"


@dataclass(frozen=True)
class Session:
    """One run of a command. `form` is how results are printed: "text", "json" or "jsonl"."""

    access: Access
    form: str = "text"
    quiet: bool = False

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
            click.echo(plain(sentence), err=True)

    def show(self, answer: Answer, text: str) -> None:
        """Print one answer, for a person as `text`."""
        if self.form == "text":
            click.echo(plain(text))
        else:
            click.echo(json.dumps(answer.raw, indent=2 if self.form == "json" else None))

    def show_each(self, answers: Iterable[A], line: Callable[[A], str], none: str) -> None:
        """Print each answer as soon as it is there, for a person as a line; as JSON they are one array. If there is none, `none`
        is a remark."""
        count = 0
        for count, each in enumerate(answers, 1):
            if self.form == "json":
                click.echo(f"{'[' if count == 1 else ','}\n{json.dumps(each.raw, indent=2)}", nl=False)
            else:
                click.echo(json.dumps(each.raw) if self.form == "jsonl" else plain(line(each)).rstrip())
        if self.form == "json":
            click.echo("\n]" if count else "[]")
        elif not count:
            self.remark(none)


@contextmanager
def valid_address() -> Iterator[None]:
    """Report an invalid address as an error on the command line."""
    try:
        yield
    except ValueError as error:
        raise click.UsageError(f"{error} Change --server, IMAGEFLEET_URL or the profile.") from None


def global_options(command: Callable[[], None]) -> Callable[..., None]:
    """Add --server, --key and --profile to the program itself."""

    def run(**chosen: str | None) -> None:
        click.get_current_context().meta[_CHOICES] = chosen
        command()

    return _access_options(functools.update_wrapper(run, command))


def shared_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that all commands have. The command gets what they say as its first argument."""

    def run(*args: Any, server: str | None, key: str | None, profile: str | None, **others: Any) -> None:
        session = Session(access_of(server, key, profile), _form_of(others), others.pop("quiet"))
        command(session, *args, **others)

    for option in (
        click.option("--quiet", "-q", is_flag=True, help="Print no progress and no remarks."),
        click.option("--jsonl", "as_jsonl", is_flag=True, help="Print each answer of the server as a line of JSON."),
        click.option("--json", "as_json", is_flag=True, help="Print the server's answer as JSON, with all its fields."),
    ):
        run = option(run)
    return _access_options(functools.update_wrapper(run, command))


def _form_of(options: dict[str, Any]) -> str:
    as_json, as_jsonl = options.pop("as_json"), options.pop("as_jsonl")
    if as_json and as_jsonl:
        raise click.UsageError("Use one of --json and --jsonl.")
    return "json" if as_json else "jsonl" if as_jsonl else "text"


def access_of(server: str | None, key: str | None, profile: str | None) -> Access:
    """The server and the key: the options of the command come before those of the program."""
    general: dict[str, str | None] = click.get_current_context().meta.get(_CHOICES, {})
    return chosen_access(server or general.get("server"), key or general.get("key"), profile or general.get("profile"))


def _access_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--profile", metavar="NAME", help="Which login to use (IMAGEFLEET_PROFILE)."),
        click.option(
            "--key", help="API key or token (IMAGEFLEET_API_KEY). Other users of the machine may see it here."
        ),
        click.option("--server", metavar="URL", help="The server's address (IMAGEFLEET_URL)."),
    ):
        command = option(command)
    return command
