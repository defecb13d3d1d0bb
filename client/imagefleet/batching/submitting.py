"""Submitting a list once, however often the command is run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from imagefleet.batching.folder import BatchFolder, FolderError
from imagefleet.batching.lists import ListError, ListRefused, PromptList
from imagefleet.batching.patience import patiently, was_never_sent
from imagefleet.client import Client
from imagefleet.errors import IdempotencyKeyReused, ImagefleetError, InvalidRequest
from imagefleet.models import Batch
from imagefleet.retrying import OnRetry

# These can be changed while a batch runs; the others are what it is.
CHANGEABLE = ("name", "concurrency", "priority")
NOTHING_WAS_ACCEPTED = frozenset({400, 401, 403, 404, 405, 409, 413, 415, 422, 429})


@dataclass(frozen=True, slots=True)
class Submission:
    """A list, and the `options` it is submitted with, by their names on the command line; None for those that are not given."""

    prompts: PromptList
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def fixed(self) -> dict[str, Any]:
        """The options that cannot be changed later."""
        return {name: value for name, value in self._given.items() if name not in CHANGEABLE}

    @property
    def changeable(self) -> dict[str, Any]:
        """The others."""
        return {name: value for name, value in self._given.items() if name in CHANGEABLE}

    @property
    def _given(self) -> dict[str, Any]:
        return {name: value for name, value in self.options.items() if value not in (None, False, {}, ())}

    def check(self) -> None:
        """Raises ListError for options that cannot be sent beside a list which the server reads: they are in the address then."""
        for name, value in (self._given.get("param") or {}).items():
            is_text = isinstance(value, str)
            if self.prompts.content_type is None or (is_text and not _looks_like_a_value(value)):
                continue
            if is_text or not isinstance(value, bool | int | float):
                raise ListError(
                    f"--param {name} can only be a number, true, false or a text beside a list of this format: put it into a .yaml "
                    "or .json list."
                )

    def arguments(self) -> dict[str, Any]:
        """What `Client.batch` is called with. What the command line says comes before what the list says."""
        listed, given = self.prompts.fields, self._given
        defaults = _as_in_python(listed.get("defaults") or {})
        whole = {"name": listed.get("name"), "concurrency": listed.get("concurrency")}
        whole |= {"user_id": listed.get("userId"), "webhook": listed.get("webhook")}
        names = {"param": "parameters", "var": "variables", "user": "user_id", "deadline": "deadline_ms"}
        chosen = {names.get(name, name): value for name, value in given.items()}
        for name in ("parameters", "variables"):
            chosen[name] = {**(defaults.get(name) or {}), **(chosen.get(name) or {})} or None
        arguments = {**whole, **defaults, **chosen}
        return {name: value for name, value in arguments.items() if value is not None}


def submit(
    client: Client, folder: BatchFolder, server: str, wanted: Submission, patience_s: float, on_retry: OnRetry
) -> Batch:
    """Submit the list, with a key that is in the folder before anything is sent; the batch is in the folder when this returns.

    Raises FolderError, ListError, OSError and the errors of the library.
    """
    prompts, is_first = wanted.prompts, not folder.facts
    wanted.check()
    key = folder.claim(server, prompts.content, wanted.fixed, wanted.changeable)
    items: Any = prompts.items if prompts.content_type is None else (prompts.content, prompts.content_type)
    try:
        batch = patiently(
            lambda: client.batch(
                items, **wanted.arguments(), idempotency_key=key, refused_s=patience_s, on_retry=on_retry
            ),
            patience_s,
            on_retry,
            if_unsent=False,  # nothing waits for this list yet: say at once that the address is wrong, or the server down
        )
    except IdempotencyKeyReused:
        raise FolderError(
            f"{prompts.source} was changed since it was first submitted from {folder.path}, and the server has the earlier list. "
            "Run the command with that list again, or choose another --output to submit this one as a batch of its own."
        ) from None
    except ImagefleetError as error:
        if is_first and (error.status in NOTHING_WAS_ACCEPTED or was_never_sent(error)):
            folder.disclaim()
        if isinstance(error, InvalidRequest):
            raise ListRefused(refusal(prompts, error)) from None
        raise
    folder.adopt(server, batch)
    return batch


def refusal(prompts: PromptList, error: InvalidRequest) -> str:
    """What is wrong with the list, each with its place, a line for each."""
    if not error.errors:
        return f"{prompts.source}: {error.detail}"
    head = f"{prompts.source} was refused, and nothing of it was accepted:"
    return "\n".join([head, *(f"  {prompts.describe(each)}" for each in error.errors)])


def apply_changes(client: Client, folder: BatchFolder, batch: Batch, wanted: Submission) -> Batch:
    """Change the batch where the command is run again with another name, concurrency or priority."""
    before, now = folder.facts.get("changeable", {}), wanted.changeable
    changed = {name: value for name, value in now.items() if before.get(name) != value}
    if not changed or batch.is_final:
        return batch
    batch = client.change_batch(batch.batch_id, **changed)
    folder.record(changeable={**before, **now})
    return batch


def _looks_like_a_value(text: str) -> bool:
    """True for a text that the server would take for a number, true or false."""
    try:
        return isinstance(json.loads(text), bool | int | float)
    except ValueError:
        return False


def _as_in_python(defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults of a list with the names that the library has for them. Raises ListError for one that it does not have."""
    names = {"deadlineMs": "deadline_ms"}
    known = {"model", "parameters", "style", "variables", "priority", "deadlineMs", "cache", "keep"}
    unknown = next((name for name in defaults if name not in known), None)
    if unknown is not None:
        raise ListError(f"defaults has an unknown field: {unknown}. There are {', '.join(sorted(known))}.")
    for name in ("parameters", "variables"):
        if not isinstance(defaults.get(name) or {}, dict):
            raise ListError(f"{name} of defaults must be fields with values.")
    return {names.get(name, name): value for name, value in defaults.items() if value is not None}
