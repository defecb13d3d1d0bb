"""`imagefleet mcp` as programs use it: the SDK's client starts it, and it works on the real service."""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.types import CallToolResult, ImageContent, TextContent
from PIL import Image

from imagefleet.defaults import VERSION
from imagefleet.extension import Picture, ReportProgress
from tests.support.reference_extension import ControlledRenderer, running_reference_extension
from tests.support.service import Service
from tests.support.waiting import until

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "client")}
PROGRAM = [sys.executable, "-m", "imagefleet", "mcp"]
NOWHERE = "http://127.0.0.1:1"
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
}


class Progress:
    """The progress notifications of a call."""

    def __init__(self) -> None:
        self.reports: list[tuple[float, str]] = []
        self.began = anyio.Event()

    async def __call__(self, progress: float, total: float | None, message: str | None) -> None:
        self.reports.append((progress, message or ""))
        if progress > 0:
            self.began.set()


@asynccontextmanager
async def connected(url: str, log: Path) -> AsyncIterator[Client]:
    """A client of `imagefleet mcp`, whose log is written to this file."""
    environment = {**ENVIRONMENT, "IMAGEFLEET_URL": url}
    parameters = StdioServerParameters(command=PROGRAM[0], args=PROGRAM[1:], env=environment)
    with log.open("w") as stream:
        async with Client(stdio_client(parameters, errlog=stream)) as client:
            yield client


def using(url: str, folder: Path, work: Callable[[Client], Awaitable[None]]) -> None:
    """Do this with a client."""

    async def main() -> None:
        async with connected(url, folder / "log") as client:
            await work(client)

    anyio.run(main)


def text_of(result: CallToolResult) -> str:
    return " ".join(part.text for part in result.content if isinstance(part, TextContent))


def shown_by(result: CallToolResult) -> list[Image.Image]:
    contents = [part for part in result.content if isinstance(part, ImageContent)]
    images: list[Image.Image] = [Image.open(io.BytesIO(base64.b64decode(part.data))) for part in contents]
    assert [Image.MIME[image.format or ""] for image in images] == [part.mime_type for part in contents]
    return images


def structured(result: CallToolResult) -> dict[str, Any]:
    assert isinstance(result.structured_content, dict)
    return result.structured_content


def noise(picture: Picture, report: ReportProgress) -> bytes:
    """A picture that cannot be compressed."""
    stream = io.BytesIO()
    Image.frombytes("RGB", (900, 600), os.urandom(900 * 600 * 3)).save(stream, "PNG")
    return stream.getvalue()


def test_pictures_are_generated_with_progress_and_returned(service: Service, tmp_path: Path) -> None:
    progress = Progress()

    async def work(client: Client) -> None:
        arguments = {"prompt": "A lighthouse", "model": "mcp-a", "width": 64, "height": 48, "number_of_images": 2}
        made = await client.call_tool(
            "generate_image", {**arguments, "parameters": {"seed": 7}, "wait_seconds": 60}, progress_callback=progress
        )
        answer = structured(made)
        assert (made.is_error, answer["status"], answer["model"], answer["seed"]) == (False, "completed", "mcp-a", 7)
        assert [image.size for image in shown_by(made)] == [(64, 48)] * 2
        assert {picture["shown"] for picture in answer["pictures"]} == {"full size"}
        for picture in answer["pictures"]:
            assert picture["url"] in text_of(made)
            assert service.get(picture["url"].removeprefix(service.url())).status == 200

        again = await client.call_tool("get_image", {"request_id": answer["request_id"]})
        assert again.content == made.content
        listed = structured(await client.call_tool("list_images", {"limit": 1}))["requests"]
        assert [(each["request_id"], each["prompt"]) for each in listed] == [(answer["request_id"], "A lighthouse")]

    with running_reference_extension(service, "mcp-a", step_s=0.05):
        using(service.url(), tmp_path, work)
    percents = [percent for percent, _ in progress.reports]
    assert percents == sorted(set(percents))
    assert (percents[0], percents[-1], len(percents) > 4) == (0, 100, True)
    assert any("Drawing picture 2 of 2" in text for _, text in progress.reports)


def test_a_large_picture_is_shown_as_a_thumbnail_beside_its_address(service: Service, tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        made = await client.call_tool("generate_image", {"prompt": "Noise", "model": "mcp-b", "wait_seconds": 60})
        [picture] = structured(made)["pictures"]
        [image] = shown_by(made)
        assert picture["bytes"] > 1_000_000
        assert (image.format, picture["shown"]) == ("WEBP", f"a thumbnail of at most {picture['shown'].split()[-2]} px")
        assert f"900 × 600 px: {picture['url']} (a thumbnail" in text_of(made)

    with running_reference_extension(service, "mcp-b", draw=noise):
        using(service.url(), tmp_path, work)


def test_a_cancelled_call_leaves_the_request_running_and_says_its_id(service: Service, tmp_path: Path) -> None:
    progress, renderer = Progress(), ControlledRenderer()

    async def work(client: Client) -> None:
        async with anyio.create_task_group() as tasks:
            arguments = {"prompt": "Slow", "model": "mcp-c", "wait_seconds": 60}
            tasks.start_soon(client.call_tool, "generate_image", arguments, None, progress)
            await progress.began.wait()
            tasks.cancel_scope.cancel()
        request_id = progress.reports[0][1].split()[1].rstrip(":")
        await anyio.to_thread.run_sync(
            lambda: until(lambda: f"Request {request_id} continues" in (tmp_path / "log").read_text())
        )
        unfinished = await client.call_tool("get_image", {"request_id": request_id, "wait_seconds": 0.1})
        assert (unfinished.is_error, structured(unfinished)["status"]) == (False, "processing")
        assert "get_image with this ID returns its pictures" in text_of(unfinished)

        service.delete(f"/api/images/{request_id}")
        ended = await client.call_tool("get_image", {"request_id": request_id, "wait_seconds": 30})
        assert (ended.is_error, structured(ended)["error"]["status"]) == (True, "cancelled")

    renderer.hold()
    with running_reference_extension(service, "mcp-c", draw=renderer.draw):
        using(service.url(), tmp_path, work)


def test_what_the_service_refuses_is_an_error_with_its_code_and_a_remedy(service: Service, tmp_path: Path) -> None:
    failures: list[tuple[str, dict[str, Any], str | None, str]] = [
        ("generate_image", {"prompt": "A fox", "style": "nope"}, "ERR_UNKNOWN_STYLE", "list_styles shows"),
        ("generate_image", {"prompt": " "}, "ERR_INVALID_PROMPT", "prompt"),
        ("generate_image", {"prompt": "A fox", "width": -1}, "ERR_INVALID_REQUEST", "width"),
        ("get_image", {"request_id": "550e8400-e29b-41d4-a716-446655440000"}, "ERR_NOT_FOUND", "list_images shows"),
        ("get_image", {"request_id": ".."}, None, "not a valid"),
    ]

    async def work(client: Client) -> None:
        for tool, arguments, code, words in failures:
            result = await client.call_tool(tool, arguments)
            assert result.is_error
            assert structured(result)["error"].get("code") == code, (tool, arguments, result)
            assert words in text_of(result)
            assert code is None or f"({code})" in text_of(result)

    using(service.url(), tmp_path, work)


def test_a_request_that_fails_is_an_error_with_the_reason(service: Service, tmp_path: Path) -> None:
    def broken(picture: Picture, report: ReportProgress) -> bytes:
        raise RuntimeError("out of ink")

    async def work(client: Client) -> None:
        result = await client.call_tool("generate_image", {"prompt": "A fox", "model": "mcp-d", "wait_seconds": 90})
        assert (result.is_error, structured(result)["error"]["status"]) == (True, "failed")
        assert "out of ink" in text_of(result)
        assert "(ERR_GENERATION_FAILED)" in text_of(result)

    with running_reference_extension(service, "mcp-d", draw=broken):
        using(service.url(), tmp_path, work)


def test_the_queue_and_the_styles_are_shown(service: Service, tmp_path: Path) -> None:
    style = {"template": "{prompt}, ink on paper", "description": "Black and white", "model": "mcp-e"}
    assert service.post("/api/styles", {"name": "mcp-noir", **style}).status in {200, 201}

    async def work(client: Client) -> None:
        queue = structured(await client.call_tool("queue_status", {}))
        assert "mcp-e" in queue["models"]
        assert queue["slots"] >= 1
        listed = await client.call_tool("list_styles", {})
        assert "mcp-noir: Black and white" in text_of(listed)
        made = await client.call_tool("generate_image", {"prompt": "A fox", "style": "mcp-noir", "wait_seconds": 60})
        assert (structured(made)["prompt"], structured(made)["model"]) == ("A fox, ink on paper", "mcp-e")

    with running_reference_extension(service, "mcp-e") as log_lines:
        until(lambda: any("connected to" in line for line in log_lines))
        using(service.url(), tmp_path, work)


def test_it_starts_without_the_service_and_says_so_at_the_first_call(tmp_path: Path) -> None:
    async def work(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"generate_image", "get_image", "list_images", "queue_status", "list_styles"}
        assert all(tool.description and tool.output_schema for tool in tools.values())
        assert client.server_info is not None
        assert (client.server_info.name, client.server_info.version) == ("imagefleet", VERSION)
        assert "generate_image submits a request" in (client.instructions or "")
        result = await client.call_tool("queue_status", {})
        assert result.is_error
        assert f"Cannot connect to {NOWHERE}: connection refused. Start the Imagefleet server" in text_of(result)

    using(NOWHERE, tmp_path, work)


def test_nothing_but_the_protocol_is_on_stdout_and_it_ends_with_stdin() -> None:
    messages = [
        HELLO,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "generate_image", "arguments": {}}},
    ]
    program = subprocess.Popen(
        PROGRAM,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, "IMAGEFLEET_URL": NOWHERE},
    )
    with program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stderr is not None
        program.stdin.write("".join(f"{json.dumps(message)}\n" for message in messages))
        program.stdin.flush()
        answers = [json.loads(program.stdout.readline()) for _ in range(2)]
        program.stdin.close()
        assert program.stdout.read() == ""
        assert program.wait(10) == 0
        assert program.stderr.read() == ""
    assert [answer["id"] for answer in answers] == [1, 2]
    assert answers[1]["result"]["isError"] is True
    assert "prompt" in answers[1]["result"]["content"][0]["text"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once(number: signal.Signals) -> None:
    with subprocess.Popen(PROGRAM, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=ENVIRONMENT) as program:
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write(f"{json.dumps(HELLO)}\n".encode())
        program.stdin.flush()
        assert program.stdout.readline()
        program.send_signal(number)
        assert program.wait(10) == -number


@pytest.mark.parametrize("missing", ["mcp", "mcp.server.mcpserver"], ids=["not installed", "an old version"])
def test_without_the_extra_a_sentence_says_how_to_install_it(missing: str) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None; from imagefleet.cli import main; main(['mcp'])"
    ended = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, env=ENVIRONMENT)
    assert ended.returncode == 2
    assert "pip install 'imagefleet[mcp]'" in ended.stderr
    assert "Traceback" not in ended.stderr
