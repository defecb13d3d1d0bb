"""What the tools answer, for programs: the structured content of their results."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from imagefleet.models import ImageRequest, QueueState, Style


class Picture(BaseModel):
    """A picture that was made."""

    url: str = Field(description="The address of the file in full size.")
    width: int | None = Field(default=None, description="Width in px.")
    height: int | None = Field(default=None, description="Height in px.")
    bytes: int | None = Field(default=None, description="Size of the file.")
    shown: str = Field(
        default="not shown", description="What the image content of this result is: full size, a thumbnail, or nothing."
    )


class Request(BaseModel):
    """A request for pictures."""

    request_id: str = Field(description="Pass it to get_image.")
    status: str = Field(description="accepted, processing, downloading, completed, failed or cancelled.")
    progress: int = Field(0, description="In percent.")
    note: str | None = Field(default=None, description="Why it waits, how far it is, or why it failed.")
    prompt: str | None = None
    model: str | None = None
    style: str | None = None
    seed: int | str | None = Field(
        default=None, description="The seed that was used; repeats the picture as a parameter."
    )
    created_at: str | None = None
    pictures: list[Picture] = []


class Requests(BaseModel):
    """Requests, newest first."""

    requests: list[Request]


class WaitingRequests(BaseModel):
    """How many requests for a model wait."""

    model: str
    priority: str
    waiting: int
    oldest_seconds: float | None = Field(default=None, description="How long the first of them has waited.")


class Queue(BaseModel):
    """The state of the queue."""

    waiting: int = Field(description="How many requests wait.")
    busy: int = Field(description="How many requests are being worked on.")
    slots: int = Field(description="How many requests the connected extensions work on at once; 0 if there are none.")
    extensions: int = Field(description="How many extensions take work now.")
    models: list[str] = Field(description="The models that connected extensions make pictures with.")
    queues: list[WaitingRequests]
    paused: list[str] = Field(description="What an operator paused, and why.")
    completed_recently: int = Field(description="How many requests were completed within recent_seconds.")
    recent_seconds: int | None = None


class NamedStyle(BaseModel):
    """A named template of prompts."""

    name: str = Field(description="Pass it to generate_image as style.")
    description: str | None = None
    template: str
    variables: dict[str, str | None] = Field(
        default={}, description="Their defaults; null where a request has to give it."
    )
    model: str | None = None
    parameters: dict[str, Any] = {}


class Styles(BaseModel):
    """The styles that requests can name."""

    styles: list[NamedStyle]


def request_of(found: ImageRequest, pictures: list[Picture]) -> Request:
    """The answer about a request."""
    return Request(
        request_id=found.request_id,
        status=found.status,
        progress=found.progress,
        note=note_of(found),
        prompt=found.metadata.prompt,
        model=found.metadata.model,
        style=found.style,
        seed=found.seed,
        created_at=None if found.created_at is None else found.created_at.isoformat(),
        pictures=pictures,
    )


def note_of(found: ImageRequest) -> str | None:
    """Why it failed, why it waits, or how far it is."""
    if found.pictures_removed_at is not None:
        return f"Its pictures were removed at {found.pictures_removed_at.isoformat()}."
    if found.error or found.reason:
        return ": ".join(part for part in (found.error, found.reason) if part)
    if found.queue is not None:
        return " ".join(part for part in (found.queue.reason, found.queue.remedy) if part) or None
    return None if found.is_final else found.message


def queue_of(state: QueueState, models: list[str]) -> Queue:
    """The answer about the queue."""
    return Queue(
        waiting=state.waiting,
        busy=state.slots.busy,
        slots=state.slots.total,
        extensions=state.slots.extensions,
        models=models,
        queues=[
            WaitingRequests(
                model=each.model, priority=each.priority, waiting=each.depth, oldest_seconds=each.oldest_seconds
            )
            for each in state.queues
        ],
        paused=[
            " ".join(part for part in (each.scope, each.model or each.user_id or each.extension_id, each.note) if part)
            for each in state.paused
        ],
        completed_recently=state.throughput.completed,
        recent_seconds=state.throughput.window_seconds,
    )


def style_of(style: Style) -> NamedStyle:
    """The answer about a style."""
    return NamedStyle(
        name=style.name,
        description=style.description,
        template=style.template,
        variables=dict(style.variables),
        model=style.model,
        parameters=dict(style.parameters),
    )
