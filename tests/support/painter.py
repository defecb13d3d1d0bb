"""An extension in this process that answers each request while it is being submitted: no test has to wait for one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app import container
from app.container import Services
from app.domain.messages import ImageGenerated, ImageGenerationFailed
from app.services.generation import Holder
from tests.support.fakes import Bench, FakeTasks
from tests.support.harness import Harness
from tests.support.image_samples import png

ADDRESS = "https://images.example/painted-{position}.png"


class Painter(FakeTasks):
    """Wakes itself, whenever a request waits. It paints as many pictures as are wanted, or fails with `failure`, or, while
    it is `idle`, leaves requests waiting."""

    def __init__(self, *capabilities: str) -> None:
        super().__init__()
        self.capabilities = capabilities or ("*",)
        self.received: list[Mapping[str, Any]] = []
        self.failure: Mapping[str, Any] | None = None
        self.metadata: dict[str, Any] = {}
        self.idle = False
        self._harness: Harness | None = None
        self._holder: Holder | None = None

    @property
    def holder(self) -> Holder:
        """Who it is for the services."""
        assert self._holder is not None
        return self._holder

    def services(self, bench: Bench) -> Services:
        """The services, with this extension connected."""
        services = container.build(bench.with_ports(tasks=self).ports)
        self._harness = Harness(bench, services)
        self._holder = self._harness.connect("painter", *self.capabilities, max_concurrent=64)
        for position in range(10):
            bench.fetch.answers[ADDRESS.format(position=position)] = png(8 + position, 8)
        return services

    def assign(self) -> None:
        """Take what waits, and answer it."""
        super().assign()
        if self._harness is None or self.idle:
            return
        self.idle = True  # a freed slot wakes a dispatcher, too
        try:
            self.answer_all()
        finally:
            self.idle = False

    def answer_all(self) -> None:
        """Answer the requests that wait."""
        assert self._harness is not None
        offers = len(self._harness.bench.bus.to_hubs)
        self._harness.assign()
        for _, message in self._harness.bench.bus.to_hubs[offers:]:
            if message["do"] == "offer":
                self._answer(message["message"])

    def _answer(self, job: Mapping[str, Any]) -> None:
        assert self._harness is not None
        self.received.append(job)
        generation = self._harness.services.generation
        if self.failure is not None:
            generation.report(self.holder, ImageGenerationFailed(request_id=job["requestId"], **self.failure))
            return
        count = job["parameters"].get("numberOfImages", 1)
        urls = tuple(ADDRESS.format(position=position) for position in range(count))
        generation.report(
            self.holder, ImageGenerated(request_id=job["requestId"], image_urls=urls, metadata=self.metadata)
        )
        self._harness.run_downloads()
