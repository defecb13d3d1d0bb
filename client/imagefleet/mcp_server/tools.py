"""The tools that the MCP server offers."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from mcp.server.mcpserver import Context
from mcp.types import CallToolResult, ContentBlock, TextContent
from pydantic import BaseModel, Field

from imagefleet.async_client import AsyncClient
from imagefleet.async_transport import AsyncTransport
from imagefleet.mcp_server.answers import Queue, Request, Requests, Styles, queue_of, request_of, style_of
from imagefleet.mcp_server.failures import reported, unsuccessful
from imagefleet.mcp_server.following import followed
from imagefleet.mcp_server.picture_content import FULL_SIZE, listed, shown
from imagefleet.models import COMPLETED, ImageRequest

# Many programs give a call of a tool a minute.
WAIT_S = 50
MAX_WAIT_S = 3600
MAX_LISTED = 100
MAX_STYLES = 500

Wait = Annotated[
    float,
    Field(
        ge=0,
        le=MAX_WAIT_S,
        description="For how many seconds to wait for the pictures. A request that is not finished by then continues, and "
        "get_image returns its pictures later. Stay below the time that your program gives a call of a tool.",
    ),
]
RequestId = Annotated[
    str, Field(min_length=1, description="The ID of the request, from generate_image or list_images.")
]
Status = Literal["accepted", "processing", "downloading", "completed", "failed", "cancelled"]


class Tools:
    """The tools, on one client of the service. `transport` fetches pictures."""

    def __init__(self, client: AsyncClient, transport: AsyncTransport) -> None:
        self._client = client
        self._transport = transport

    @reported
    async def generate_image(
        self,
        prompt: Annotated[str, Field(min_length=1, description="What the picture shows.")],
        ctx: Context,
        model: Annotated[
            str | None, Field(description="The model, such as dall-e-3. queue_status lists those that can be used now.")
        ] = None,
        width: Annotated[int | None, Field(description="Width in px.")] = None,
        height: Annotated[int | None, Field(description="Height in px.")] = None,
        quality: Annotated[str | None, Field(description="Such as standard or hd.")] = None,
        style: Annotated[
            str | None, Field(description="The name of a style from list_styles, which completes the prompt.")
        ] = None,
        variables: Annotated[dict[str, str] | None, Field(description="Values for the variables of the style.")] = None,
        number_of_images: Annotated[int | None, Field(description="How many pictures, 1 to 10.")] = None,
        parameters: Annotated[
            dict[str, Any] | None,
            Field(description='Any other parameters of the model, such as {"seed": 7} or {"style": "natural"}.'),
        ] = None,
        wait_seconds: Wait = WAIT_S,
    ) -> Annotated[CallToolResult, Request]:
        """Generate pictures from a prompt, and return them. Cancelling the call leaves the request running."""
        accepted = await self._client.submit(
            prompt,
            model=model,
            width=width,
            height=height,
            quality=quality,
            style=style,
            variables=variables,
            number_of_images=number_of_images,
            parameters=parameters,
        )
        return await self._outcome(await followed(self._client, accepted.request_id, ctx, wait_seconds))

    @reported
    async def get_image(
        self, request_id: RequestId, ctx: Context, wait_seconds: Wait = 0
    ) -> Annotated[CallToolResult, Request]:
        """Return the pictures of a request, or how far it is. With wait_seconds, wait until it is finished."""
        return await self._outcome(await followed(self._client, request_id, ctx, wait_seconds))

    @reported
    async def list_images(
        self,
        status: Annotated[Status | None, Field(description="Only requests with this status.")] = None,
        limit: Annotated[int, Field(ge=1, le=MAX_LISTED, description="How many at most.")] = 10,
    ) -> Annotated[CallToolResult, Requests]:
        """List requests, newest first, with the addresses of their pictures. get_image returns the pictures themselves."""
        requests = []
        async with contextlib.aclosing(self._client.list(status=status, page_size=limit)) as found:
            async for each in found:
                requests.append(request_of(each, listed(self._transport, each)))
                if len(requests) == limit:
                    break
        return _result("\n".join(_line(each) for each in requests) or "No request.", Requests(requests=requests))

    @reported
    async def queue_status(self) -> Annotated[CallToolResult, Queue]:
        """Tell how many requests wait, how many the extensions work on, which models can be used, and what is paused."""
        state, models = await self._client.queue(), await self._client.models()
        queue = queue_of(state, [each.id for each in models])
        text = (
            f"{queue.waiting} requests wait; {queue.busy} of {queue.slots} slots of {queue.extensions} extensions are busy. "
            f"Models: {', '.join(queue.models) or 'none, as no extension is connected'}."
        )
        return _result(" ".join([text, *(f"Paused: {each}." for each in queue.paused)]), queue)

    @reported
    async def list_styles(self) -> Annotated[CallToolResult, Styles]:
        """List the styles that generate_image can use: named templates of prompts, with their variables."""
        styles = []
        async with contextlib.aclosing(self._client.styles()) as found:
            async for each in found:
                styles.append(style_of(each))
                if len(styles) == MAX_STYLES:
                    break
        lines = [f"{each.name}: {each.description or each.template}" for each in styles]
        return _result("\n".join(lines) or "There are no styles.", Styles(styles=styles))

    async def _outcome(self, found: ImageRequest) -> CallToolResult:
        """The pictures of a request that is completed; otherwise how it stands."""
        if found.status in {"failed", "cancelled"}:
            return unsuccessful(found)
        pictures, contents = await shown(self._transport, found)
        request = request_of(found, pictures)
        return _result(_described(request), request, contents)


def _described(request: Request) -> str:
    if request.status != COMPLETED:
        text = f"Request {request.request_id} is not finished: {request.status}, {request.progress} %."
        note = f" {request.note}" if request.note else ""
        return f"{text}{note} It continues; get_image with this ID returns its pictures."
    facts = ", ".join(
        str(part)
        for part in (request.model, None if request.seed is None else f"seed {request.seed}", request.note)
        if part
    )
    lines = [f"Request {request.request_id} is completed{f' ({facts})' if facts else ''}."]
    for picture in request.pictures:
        how = "" if picture.shown == FULL_SIZE else f" ({picture.shown} is above)" if "thumb" in picture.shown else ""
        lines.append(f"{picture.width} × {picture.height} px: {picture.url}{how}")
    return "\n".join(lines)


def _line(request: Request) -> str:
    parts = (
        request.request_id,
        request.status,
        request.model,
        request.prompt,
        *(each.url for each in request.pictures),
    )
    return "  ".join(part for part in parts if part)


def _result(text: str, answer: BaseModel, contents: Sequence[ContentBlock] = ()) -> CallToolResult:
    return CallToolResult(
        content=[*contents, TextContent(type="text", text=text)],
        structured_content=answer.model_dump(mode="json"),
    )
