"""Follows a request for as long as a call of a tool may wait, and reports its progress."""

from __future__ import annotations

import contextlib
import logging

import anyio
from mcp.server.mcpserver import Context

from imagefleet.async_client import AsyncClient
from imagefleet.models import Event, ImageRequest

logger = logging.getLogger(__name__)


async def followed(client: AsyncClient, request_id: str, context: Context, wait_s: float) -> ImageRequest:
    """The request once it has ended, or as it is after `wait_s` seconds.

    If the call is cancelled meanwhile, the request continues.
    """
    progress = _Progress(context, request_id)
    try:
        found = await client.get(request_id)
        if found.is_final or wait_s <= 0:
            return found
        waits_for = None if found.queue is None else found.queue.reason
        await progress.report(found.progress, waits_for or found.message)
        with anyio.move_on_after(wait_s):
            async with contextlib.aclosing(client.stream(request_id)) as events:
                async for event in events:
                    await progress.report(_percent(event), event.message)
        return await client.get(request_id)
    except anyio.get_cancelled_exc_class():
        logger.info("The call was cancelled. Request %s continues; get_image returns its pictures.", request_id)
        raise


def _percent(event: Event) -> int:
    if event.is_final:
        return 100
    return event.progress or 0


class _Progress:
    """Progress only rises in this protocol, while a request that is tried again begins anew."""

    def __init__(self, context: Context, request_id: str) -> None:
        self._context = context
        self._request_id = request_id
        self._last = -1

    async def report(self, percent: int, text: str | None) -> None:
        """Report progress, unless it was further before."""
        if percent > self._last:
            self._last = percent
            message = f"Request {self._request_id}: {text or 'in progress'}"
            await self._context.report_progress(percent, 100, message)
