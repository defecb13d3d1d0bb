"""The Python library for programs with async: the methods of `Client`, as coroutines and asynchronous iterators.

    async with AsyncClient("http://localhost:3000") as client:
        accepted = await client.submit("A lighthouse at dawn", width=1024, height=768)
        result = await client.wait(accepted.request_id)
        for picture in result.images:
            await client.download(picture, "lighthouse.png")

Functions that are passed, such as `progress`, are ordinary ones. Methods raise the errors of `imagefleet.errors`, and OSError if a file cannot be read or written.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import anyio

from imagefleet import batch_following, downloads, results, streaming, waiting
from imagefleet.async_transport import AsyncTransport
from imagefleet.calls import access, batches, fleet, images, styles, webhooks
from imagefleet.calls.base import Call, Listing
from imagefleet.calls.batches import Items, Scope, Uploaded
from imagefleet.client import FAULTS_S, ITEMS_PAGE_SIZE, PAGE_SIZE
from imagefleet.defaults import DEFAULT_URL
from imagefleet.flows import Patience, listed, retried
from imagefleet.models import (
    Accepted,
    Batch,
    BatchEvent,
    BatchItem,
    CacheMode,
    Cancelled,
    Delivery,
    Event,
    ExtensionState,
    Health,
    ImageRequest,
    InputPicture,
    InputReference,
    Model,
    PausedPart,
    PicturesRemoved,
    Priority,
    QueueState,
    Redelivered,
    Status,
    StoredPicture,
    Style,
    Token,
    Webhook,
    WebhookSecret,
)
from imagefleet.retrying import OnRetry
from imagefleet.transport import PATIENCE_S

T = TypeVar("T")


class AsyncClient:
    """A client of one server. `patience_s` is how many seconds a call is retried after a fault, if that is safe.

    `key` is an API key or a token, if the server requires one; it is sent to this server only. Connections are pooled and
    shared between tasks; call `close`, or use the client in an `async with`. Raises ValueError if the address or the key cannot be one.
    """

    def __init__(self, base_url: str = DEFAULT_URL, *, key: str | None = None, patience_s: float = PATIENCE_S) -> None:
        self._transport = AsyncTransport(base_url, key)
        self._patience = Patience(patience_s)
        self._has_key = bool(key)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the pooled connections."""
        await self._transport.close()

    # Requests

    async def submit(
        self,
        prompt: str,
        *,
        model: str | None = None,
        width: int | None = None,
        height: int | None = None,
        quality: str | None = None,
        number_of_images: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        style: str | None = None,
        variables: Mapping[str, str] | None = None,
        user_id: str | None = None,
        deadline_ms: int | None = None,
        priority: Priority | None = None,
        cache: CacheMode | None = None,
        keep: int | None = None,
        input_images: Sequence[InputReference | Mapping[str, Any]] | None = None,
        webhook: str | Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        refused_s: float | None = None,
        on_retry: OnRetry | None = None,
    ) -> Accepted:
        """Submit a request; the server has defaults for what is left out. Sizes in px.

        `parameters` reach the extension unchanged; the named arguments override them. `style` is a style of the server, with
        `variables` of its template; the generator's own is `parameters={"style": "natural"}`. `deadline_ms` after its acceptance
        the request fails unless it is completed; until then it waits for an extension. `cache` is whether it may get the pictures
        of an identical request of yours: "prefer", or "only", which raises NotCached if none is completed. `keep` is for how many
        days its pictures are kept. `input_images` are the pictures it is made from (`upload_input`). `webhook` is an address for
        its events, or `{"url": …, "events": […]}`.

        It is retried after every fault: the server accepts it once, since each attempt has the same Idempotency-Key. That
        is a new one for each call, or `idempotency_key`, 1 to 255 visible ASCII characters. With a key of your own, the
        same call gets the same answer for a day, also from another process. A rate limit is waited out for up to `refused_s`
        seconds, by default for `patience_s`; `on_retry` is called before each pause with the error and the seconds that it takes.
        """
        call = images.submit(
            prompt,
            model=model,
            width=width,
            height=height,
            quality=quality,
            number_of_images=number_of_images,
            parameters=parameters,
            style=style,
            variables=variables,
            user_id=user_id,
            deadline_ms=deadline_ms,
            priority=priority,
            cache=cache,
            keep=keep,
            input_images=input_images,
            webhook=webhook,
            idempotency_key=idempotency_key,
        )
        return await self._call(call, refused_s, on_retry)

    async def vary(
        self,
        request_id: str,
        *,
        prompt: str | None = None,
        number_of_images: int | None = None,
        strength: float | None = None,
        position: int | None = None,
        keep: int | None = None,
        idempotency_key: str | None = None,
        refused_s: float | None = None,
        on_retry: OnRetry | None = None,
    ) -> Accepted:
        """Submit a request for variations of a picture of a completed request: the one at `position`, counted from 0.

        `strength`, 0 to 1, is how much they may differ. What is left out is as in that request.
        """
        call = images.vary(
            request_id,
            prompt=prompt,
            number_of_images=number_of_images,
            strength=strength,
            position=position,
            keep=keep,
            idempotency_key=idempotency_key,
        )
        return await self._call(call, refused_s, on_retry)

    async def get(self, request_id: str) -> ImageRequest:
        """The request in full, with its pictures once it is completed."""
        return await self._call(images.details(request_id))

    async def status(self, request_id: str, *, wait: float | None = None, since: int | None = None) -> Status:
        """The status of the request; with `wait`, returns once it is newer than version `since`, or after `wait` s."""
        return await self._call(images.status(request_id, wait, since))

    async def wait(
        self,
        request_id: str,
        *,
        progress: Callable[[Status], object] | None = None,
        timeout_s: float | None = None,
        patience_s: float = FAULTS_S,
        on_retry: OnRetry | None = None,
    ) -> ImageRequest:
        """Wait until the request is completed, failed or cancelled, and return it.

        `progress` is called with each new status, the first time at once. Faults are retried until `timeout_s`; without
        a timeout, until nothing succeeded for `patience_s` seconds. `on_retry` is called with each fault and the seconds until the
        next attempt; after a fault `progress` is called even if nothing changed. Raises TimedOut after `timeout_s`; the
        request continues.
        """
        return await self._transport.run(waiting.for_request(request_id, progress, patience_s, timeout_s, on_retry))

    def stream(
        self,
        request_id: str,
        *,
        last_event_id: int | None = None,
        patience_s: float = FAULTS_S,
        on_retry: OnRetry | None = None,
    ) -> AsyncGenerator[Event]:
        """The request's events as they happen, each stored event once, until the last one.

        Stored events have a number `seq`; with `last_event_id` only later ones are returned. Progress has none.
        After faults the stream is resumed, until nothing succeeded for `patience_s` seconds.
        """
        flow = streaming.of_request(images.events(request_id), last_event_id, patience_s, on_retry)
        return self._transport.iterate(flow)

    async def cancel(self, request_id: str) -> Cancelled:
        """Cancel the request. Raises AlreadyFinished if it has already completed or failed."""
        return await self._call(images.cancel(request_id))

    def list(
        self,
        *,
        user_id: str | None = None,
        status: str | None = None,
        parent_id: str | None = None,
        page_size: int = PAGE_SIZE,
    ) -> AsyncGenerator[ImageRequest]:
        """The requests, newest first; each page of up to `page_size` (1..100) is fetched when it is needed.

        With `parent_id` only those that were made from a picture of this request.
        """
        return self._list(images.listing(user_id=user_id, status=status, parent_id=parent_id, page_size=page_size))

    # Pictures

    async def download(
        self,
        picture: StoredPicture,
        to: str | Path,
        *,
        progress: downloads.Progress | None = None,
        on_retry: OnRetry | None = None,
    ) -> Path:
        """Save the picture as the file `to`, whole and checked (size, SHA-256) or not at all. Returns its path.

        What has arrived is kept in a `.part` file beside it, from which the download goes on after a fault, or when it is called
        again. `progress` is called with the bytes that have arrived, and those of the whole picture if they are known.
        """
        path = downloads.path_of(picture, signed=not self._has_key)
        patience = Patience(self._patience.faults_s, on_retry=on_retry)
        return await self._transport.run(downloads.downloaded(path, picture, Path(to), patience, progress))

    def image_url(self, picture: StoredPicture) -> str:
        """The URL of the picture on this server."""
        return self._transport.url(picture.image_path)

    async def remove_pictures(self, request_id: str) -> PicturesRemoved:
        """Remove the pictures of a completed request. The request itself stays."""
        return await self._call(images.remove_pictures(request_id))

    async def upload_input(self, picture: Path | bytes, *, user_id: str | None = None) -> InputPicture:
        """Upload a picture (PNG, JPEG or WEBP) that requests can be made from, as a file or as its bytes."""
        content = picture if isinstance(picture, bytes) else await anyio.Path(picture).read_bytes()
        return await self._call(images.upload_input(content, user_id))

    async def get_input(self, input_id: str) -> InputPicture:
        """What is known about an uploaded picture."""
        return await self._call(images.input_details(input_id))

    async def remove_input(self, input_id: str) -> None:
        """Remove an uploaded picture before it expires."""
        await self._call(images.remove_input(input_id))

    # Batches

    async def batch(
        self,
        items: Items | Uploaded,
        *,
        name: str | None = None,
        concurrency: int | None = None,
        model: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        style: str | None = None,
        variables: Mapping[str, str] | None = None,
        priority: Priority | None = None,
        deadline_ms: int | None = None,
        cache: CacheMode | None = None,
        keep: int | None = None,
        user_id: str | None = None,
        webhook: str | Mapping[str, Any] | None = None,
        partial: bool = False,
        idempotency_key: str | None = None,
        refused_s: float | None = None,
        on_retry: OnRetry | None = None,
    ) -> Batch:
        """Submit many requests at once: prompts, dicts with the fields of an item, or `NewItem`s.

        Or a file's contents with its content type: `(b"…", "text/csv")`, `"application/x-ndjson"` or `"text/plain"`.
        `concurrency` is how many are in the queue or beyond it at once. `model` to `keep` hold for every item that says nothing
        else. All items are accepted or none: InvalidRequest has `errors`; with `partial`, the valid ones are, and the batch has
        `errors`. It is retried as `submit` is; a key is kept as long as the batch.
        """
        defaults = batches.defaults_of(
            model=model,
            parameters=parameters,
            style=style,
            variables=variables,
            priority=priority,
            deadline_ms=deadline_ms,
            cache=cache,
            keep=keep,
        )
        call = batches.submit(
            items,
            name=name,
            defaults=defaults,
            concurrency=concurrency,
            user_id=user_id,
            webhook=webhook,
            partial=partial,
            idempotency_key=idempotency_key,
        )
        return await self._call(call, refused_s, on_retry)

    async def get_batch(self, batch_id: str, *, wait: float | None = None, since: int | None = None) -> Batch:
        """The batch; with `wait`, returns once it is newer than version `since`, or after `wait` s."""
        return await self._call(batches.details(batch_id, wait, since))

    async def wait_batch(
        self,
        batch_id: str,
        *,
        progress: Callable[[Batch], object] | None = None,
        timeout_s: float | None = None,
        patience_s: float = FAULTS_S,
        on_retry: OnRetry | None = None,
    ) -> Batch:
        """Wait until every item of the batch has ended, as `wait` does for a request."""
        return await self._transport.run(waiting.for_batch(batch_id, progress, patience_s, timeout_s, on_retry))

    def batches(self, *, user_id: str | None = None, page_size: int = PAGE_SIZE) -> AsyncGenerator[Batch]:
        """The batches, newest first; each page is fetched when it is needed."""
        return self._list(batches.listing(user_id=user_id, page_size=page_size))

    def batch_items(
        self, batch_id: str, *, status: str | None = None, page_size: int = ITEMS_PAGE_SIZE
    ) -> AsyncGenerator[BatchItem]:
        """The items in their order; each page of up to `page_size` (1..1,000) is fetched when it is needed."""
        return self._list(batches.items(batch_id, status=status, page_size=page_size))

    def stream_batch(
        self,
        batch_id: str,
        *,
        last_event_id: int | None = None,
        patience_s: float = FAULTS_S,
        on_retry: OnRetry | None = None,
    ) -> AsyncGenerator[BatchEvent]:
        """The batch's events as they happen, each once, until every item has ended; otherwise as `stream`."""
        flow = streaming.of_batch(batches.events(batch_id), last_event_id, patience_s, on_retry)
        return self._transport.iterate(flow)

    def follow_batch(
        self, batch_id: str, *, patience_s: float = FAULTS_S, on_retry: OnRetry | None = None
    ) -> AsyncGenerator[BatchItem]:
        """Each item of the batch once as it ends, at first those that have ended already, until all of them have.

        An item that is tried again meanwhile is returned again when its new request has ended. Faults and restarts of the server
        are survived, until nothing succeeded for `patience_s` seconds; memory does not grow but for a few bytes an item.
        """
        return self._transport.iterate(batch_following.followed(batch_id, patience_s, on_retry))

    def batch_results(self, batch_id: str, *, on_retry: OnRetry | None = None) -> AsyncGenerator[ImageRequest]:
        """The result of each item in their order, with its pictures, as far as there are any; much quicker than `get` for each."""
        patience = Patience(FAULTS_S, on_retry=on_retry)
        return self._transport.iterate(results.of_batch(batch_id, patience))

    async def download_results(
        self,
        batch_id: str,
        to: str | Path,
        *,
        progress: downloads.Progress | None = None,
        on_retry: OnRetry | None = None,
    ) -> Path:
        """Save the pictures of the batch as one zip with indexes. It is made while it is sent: after a fault it begins anew."""
        path = batches.archive_path(batch_id)
        archive, patience = StoredPicture(image_path=path), Patience(self._patience.faults_s, on_retry=on_retry)
        return await self._transport.run(downloads.downloaded(path, archive, Path(to), patience, progress))

    async def pause_batch(self, batch_id: str) -> Batch:
        """Hand out no item until the batch is resumed."""
        return await self._call(batches.pause(batch_id))

    async def resume_batch(self, batch_id: str) -> Batch:
        """Hand items out again."""
        return await self._call(batches.resume(batch_id))

    async def cancel_batch(self, batch_id: str, scope: Scope = "all") -> Batch:
        """Cancel every item that has not ended, or with "waiting" those that no extension has begun."""
        return await self._call(batches.cancel(batch_id, scope))

    async def retry_batch(
        self,
        batch_id: str,
        items: Iterable[int | Mapping[str, Any]] | None = None,
        *,
        status: str | None = None,
    ) -> Batch:
        """Try items that have ended again: all with this status, and those named; by default what has failed.

        An item is its number, or a dict with `index` or `customId`, and if you like `prompt` and `parameters` that replace the
        old ones. After ConnectionLost look at the batch before you call it again: the server may have acted.
        """
        return await self._call(batches.retry(batch_id, items, status))

    async def change_batch(
        self,
        batch_id: str,
        *,
        name: str | None = None,
        concurrency: int | None = None,
        priority: Priority | None = None,
    ) -> Batch:
        """Change the name, the concurrency, or the priority of all items that no extension has begun."""
        return await self._call(batches.change(batch_id, name=name, concurrency=concurrency, priority=priority))

    async def add_to_batch(self, batch_id: str, items: Items | Uploaded, *, partial: bool = False) -> Batch:
        """Add items behind the others. After ConnectionLost look at the batch before you call it again."""
        return await self._call(batches.add(batch_id, items, partial=partial))

    # Styles

    def styles(
        self, *, shared: bool | None = None, user_id: str | None = None, page_size: int = PAGE_SIZE
    ) -> AsyncGenerator[Style]:
        """The styles that requests can name, ordered by name; only everybody's, or only your own, with `shared`."""
        return self._list(styles.listing(shared=shared, user_id=user_id, page_size=page_size))

    async def get_style(self, name: str, *, shared: bool | None = None, user_id: str | None = None) -> Style:
        """The style that a request means with this name."""
        return await self._call(styles.details(name, shared=shared, user_id=user_id))

    async def create_style(
        self,
        name: str,
        template: str,
        *,
        variables: Mapping[str, str | None] | None = None,
        model: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        description: str | None = None,
        shared: bool | None = None,
        user_id: str | None = None,
    ) -> Style:
        """Define a style. `template` has `{prompt}` and `{name}` for each of `variables`, which are their defaults.

        Raises Conflict if there is one of this name.
        """
        fields = styles.fields_of(template, variables, model, parameters, description)
        return await self._call(styles.create(name, fields, shared=shared, user_id=user_id))

    async def put_style(
        self,
        name: str,
        template: str,
        *,
        variables: Mapping[str, str | None] | None = None,
        model: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        description: str | None = None,
        shared: bool | None = None,
        user_id: str | None = None,
    ) -> Style:
        """Replace the style of this name. What is left out is gone. Raises NotFound if there is none."""
        fields = styles.fields_of(template, variables, model, parameters, description)
        return await self._call(styles.replace(name, fields, shared=shared, user_id=user_id))

    async def delete_style(self, name: str, *, shared: bool | None = None, user_id: str | None = None) -> None:
        """Remove a style. Requests that were made with it stay as they are."""
        await self._call(styles.remove(name, shared=shared, user_id=user_id))

    # The queue, extensions, the service

    async def queue(self) -> QueueState:
        """How many requests wait, what is paused and why, the slots of the extensions, and the throughput."""
        return await self._call(fleet.queue())

    async def pause_queue(
        self,
        *,
        model: str | None = None,
        user_id: str | None = None,
        extension_id: str | None = None,
        note: str | None = None,
        until: datetime | None = None,
        drain: bool | None = None,
    ) -> PausedPart:
        """Hand out no more requests: none at all, or none of one model, user or extension. For operators."""
        return await self._call(
            fleet.pause_queue(
                model=model, user_id=user_id, extension_id=extension_id, note=note, until=until, drain=drain
            )
        )

    async def resume_queue(
        self, *, model: str | None = None, user_id: str | None = None, extension_id: str | None = None
    ) -> None:
        """End a pause: that of everything, or of one model, user or extension. For operators."""
        await self._call(fleet.resume_queue(model=model, user_id=user_id, extension_id=extension_id))

    def extensions(
        self, *, connected: bool | None = None, page_size: int = PAGE_SIZE
    ) -> AsyncGenerator[ExtensionState]:
        """The extensions, ordered by ID. If the server requires a key, it must be an operator's."""
        return self._list(fleet.extensions(connected, page_size))

    async def resume_extension(self, extension_id: str) -> None:
        """End the pause that failures of an extension led to. For operators."""
        await self._call(fleet.resume_extension(extension_id))

    async def models(self) -> tuple[Model, ...]:
        """The models that the connected extensions make pictures with."""
        return await self._call(fleet.models())

    async def health(self) -> Health:
        """The health of the service; it is an answer, and no error, that it is not well."""
        return await self._call(fleet.health())

    async def websocket_url(self) -> str:
        """The URL of the extensions' WebSocket."""
        return (await self._call(fleet.socket_info())).url

    async def create_token(self) -> Token:
        """Exchange the key for a token with the same permissions, which expires. `Client(key=…)` takes tokens too."""
        return await self._call(access.create_token())

    async def revoke_token(self) -> None:
        """Revoke the token that is this client's key."""
        await self._call(access.revoke_token())

    # Webhooks

    def webhooks(
        self, *, user_id: str | None = None, request_id: str | None = None, page_size: int = PAGE_SIZE
    ) -> AsyncGenerator[Webhook]:
        """Your webhooks, oldest first; with `request_id` that of one request or batch."""
        return self._list(webhooks.listing(user_id=user_id, request_id=request_id, page_size=page_size))

    async def create_webhook(
        self,
        url: str,
        *,
        events: Sequence[str] | None = None,
        description: str | None = None,
        user_id: str | None = None,
    ) -> Webhook:
        """Have events of all your requests and batches sent to this address. `secret` of the answer is shown this once."""
        return await self._call(webhooks.create(url, events=events, description=description, user_id=user_id))

    async def get_webhook(self, webhook_id: str) -> Webhook:
        """One webhook."""
        return await self._call(webhooks.details(webhook_id))

    async def change_webhook(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        events: Sequence[str] | None = None,
        description: str | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Change a webhook; what is left out stays."""
        return await self._call(
            webhooks.change(webhook_id, url=url, events=events, description=description, enabled=enabled)
        )

    async def delete_webhook(self, webhook_id: str) -> None:
        """Remove a webhook and its deliveries."""
        await self._call(webhooks.remove(webhook_id))

    async def rotate_webhook_secret(
        self, webhook_id: str | None = None, *, user_id: str | None = None
    ) -> WebhookSecret:
        """Make a new secret; without an ID that of the account, which signs for webhooks of single requests and batches."""
        return await self._call(webhooks.rotate_secret(webhook_id, user_id))

    async def test_webhook(self, webhook_id: str) -> Delivery:
        """Send a test event; `webhook_deliveries` shows how it went."""
        return await self._call(webhooks.test(webhook_id))

    async def redeliver(
        self, webhook_id: str, *, delivery_id: str | None = None, failed_since: datetime | None = None
    ) -> Redelivered:
        """Send one event again, or all that failed since a time."""
        return await self._call(webhooks.redeliver(webhook_id, delivery_id=delivery_id, failed_since=failed_since))

    def webhook_deliveries(
        self, webhook_id: str, *, status: str | None = None, page_size: int = PAGE_SIZE
    ) -> AsyncGenerator[Delivery]:
        """What was sent to the webhook, newest first."""
        return self._list(webhooks.deliveries(webhook_id, status=status, page_size=page_size))

    async def _call(self, call: Call[T], refused_s: float | None = None, on_retry: OnRetry | None = None) -> T:
        patience = Patience(self._patience.faults_s, refused_s, on_retry)
        return await self._transport.run(retried(call, patience))

    def _list(self, listing: Listing[T]) -> AsyncGenerator[T]:
        return self._transport.iterate(listed(listing, self._patience))
