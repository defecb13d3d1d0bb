"""LiteLLM's image calls at a real service; only the model, the address and the key are ours."""

from __future__ import annotations

import asyncio
import base64
import io
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from PIL import Image

from tests.support.pictures import data_url, plain
from tests.support.service import Service

pytestmark = pytest.mark.slow  # it needs a hundred megabytes of packages, which `make test-slow` installs

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else it fetches one from its host
MODEL = "dall-e-3"
IN_BASE64 = "gpt-image-1"  # LiteLLM sends no `response_format` for a model of this name
WAIT_S = 120.0


def calls(service: Service) -> dict[str, Any]:
    """The arguments that name the service."""
    return {"api_base": service.url("/v1"), "api_key": "sk-of-litellm", "timeout": WAIT_S, "max_retries": 0}


def test_a_picture_arrives_by_either_call_and_in_either_form(service: Service) -> None:
    import litellm  # noqa: PLC0415 - other tests run without it

    with service.extension("painter-litellm", MODEL, IN_BASE64) as extension, ThreadPoolExecutor(1) as pool:

        def paint(colour: str) -> Any:
            return pool.submit(lambda: extension.done(extension.next_job(WAIT_S), data_url(plain(colour))))

        painted = paint("red")
        answer = litellm.image_generation(prompt="a red fox", model=f"openai/{MODEL}", size="64x64", **calls(service))
        painted.result(WAIT_S)
        assert service.get(answer.data[0].url.removeprefix(service.url())).status == 200

        painted = paint("blue")
        answer = asyncio.run(
            litellm.aimage_generation(prompt="a blue fox", model=f"openai/{IN_BASE64}", **calls(service))
        )
        painted.result(WAIT_S)
        picture = Image.open(io.BytesIO(base64.b64decode(answer.data[0].b64_json)))
        assert picture.convert("RGB").getpixel((0, 0)) == (0, 0, 255)


def test_a_refusal_is_raised_as_the_class_of_its_status(service: Service) -> None:
    import litellm  # noqa: PLC0415 - other tests run without it

    with pytest.raises(litellm.BadRequestError, match="prompt"):
        litellm.image_generation(prompt=" ", model=f"openai/{MODEL}", **calls(service))
