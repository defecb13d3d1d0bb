"""The preview of an image that is being made, over HTTP."""

from __future__ import annotations

import base64
import io

import pytest
from PIL import Image

from app.domain.access import Role, Scope
from app.factory import create_app
from tests.support.fakes import Bench
from tests.support.harness import Harness
from tests.support.pictures import plain

pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


def test_owners_and_operators_get_the_preview_and_others_do_not_know_of_it(bench: Bench) -> None:
    harness = Harness.of(bench.with_settings(auth_required=True))
    services = harness.services
    client = create_app(services.settings, services).test_client()
    shown = {}
    for name, role, scope in (
        ("ann", Role.USER, Scope.READ),
        ("ben", Role.USER, Scope.READ),
        ("op", Role.OPERATOR, Scope.ADMIN),
    ):
        services.accounts.create_user(name, role)
        shown[name] = {"Authorization": f"Bearer {services.accounts.create_key(name, [scope])}"}
    _, job = harness.connect_and_start(user="ann")
    address = f"/api/images/{job.id}/preview"
    assert client.get(address, headers=shown["ann"]).status_code == 404
    services.previews.receive(job.id, 0, 40, base64.b64encode(plain("red", (64, 32), "JPEG")).decode())
    for name, status in (("ann", 200), ("op", 200), ("ben", 404)):
        assert client.get(address, headers=shown[name]).status_code == status
    assert client.get(address).status_code == 401
    answer = client.get(f"{address}?position=0", headers=shown["ann"])
    assert (answer.content_type, answer.headers["Cache-Control"]) == ("image/webp", "no-store")
    assert Image.open(io.BytesIO(answer.data)).size == (64, 32)
    for query, status, code in (
        ("?position=1", 404, "ERR_NOT_FOUND"),
        ("?position=10", 400, "ERR_INVALID_REQUEST"),
        ("?position=x", 400, "ERR_INVALID_REQUEST"),
    ):
        refused = client.get(address + query, headers=shown["ann"])
        assert (refused.status_code, refused.json["code"]) == (status, code)
