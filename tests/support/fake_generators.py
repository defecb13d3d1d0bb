"""Fake image generators: local HTTP servers with the APIs of OpenAI, AUTOMATIC1111 and ComfyUI.

Each returns the same picture for the same size, and records the requests it received in `requests`.
"""

from __future__ import annotations

import base64
import io
import json
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qsl, urlsplit

from PIL import Image
from simple_websocket import ConnectionClosed, Server
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

G = TypeVar("G", bound="FakeGenerator")
JSON = "application/json"
MAX_BUSY_S = 60.0
SIZED = ("EmptyLatentImage", "ImageScale")


def generated_image(width: int, height: int) -> Image.Image:
    """The picture that every fake generator returns."""
    down = Image.linear_gradient("L").resize((width, height))
    across = down.transpose(Image.Transpose.ROTATE_180)
    return Image.merge("RGB", (down, across, Image.radial_gradient("L").resize((width, height))))


def generated_png(width: int, height: int) -> bytes:
    """The same picture as a PNG file."""
    stream = io.BytesIO()
    generated_image(width, height).save(stream, "PNG")
    return stream.getvalue()


@dataclass(frozen=True)
class ReceivedRequest:
    """One received request; header names are in lower case. The body is the JSON, or the fields of a form: files are bytes."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Response:
    """A response; a body that is not bytes is sent as JSON."""

    body: object = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FakeGenerator:
    """The base class. While `refusal` is set, it is the response to requests for pictures; while `busy` is set, none is finished."""

    url: str = ""
    requests: list[ReceivedRequest] = field(default_factory=list)
    refusal: Response | None = None
    busy: threading.Event = field(default_factory=threading.Event)

    def respond(self, request: ReceivedRequest) -> Response:
        """The response to a request."""
        raise NotImplementedError

    def socket(self, wire: Server, request: ReceivedRequest) -> None:
        """Serve a WebSocket connection."""
        raise NotImplementedError

    def requests_to(self, path: str, method: str = "POST") -> list[ReceivedRequest]:
        """The received requests for this path and method."""
        return [each for each in list(self.requests) if (each.path, each.method) == (path, method)]

    def work(self, interrupted: threading.Event) -> bool:
        """Wait until `busy` is cleared; returns False if the work was interrupted."""
        end = time.monotonic() + MAX_BUSY_S
        while self.busy.is_set() and time.monotonic() < end:
            if interrupted.wait(0.02):
                return False
        return not interrupted.is_set()


@dataclass
class FakeOpenAI(FakeGenerator):
    """OpenAI's images API. `key` is the valid API key; with `by_url` it responds with a URL in place of the picture."""

    key: str = "sk-good"
    by_url: bool = False

    def respond(self, request: ReceivedRequest) -> Response:
        """Respond as OpenAI documents it."""
        if request.path == "/files/picture.png":
            return Response(generated_png(*self._size()), headers={"Content-Type": "image/png"})
        if request.headers.get("authorization") != f"Bearer {self.key}":
            error = {
                "message": "Incorrect API key provided.",
                "type": "invalid_request_error",
                "code": "invalid_api_key",
            }
            return Response({"error": error}, 401)
        if request.path == "/v1/models":
            return Response({"object": "list", "data": [{"id": "gpt-image-1", "object": "model"}]})
        if self.refusal is not None:
            return self.refusal
        if "prompt" not in request.body:
            return Response({"error": {"message": "Missing required parameter: 'prompt'."}}, 400)
        self.work(threading.Event())
        drawn = base64.b64encode(generated_png(*self._size())).decode()
        data = {"url": f"{self.url}/files/picture.png"} if self.by_url else {"b64_json": drawn}
        return Response({"created": 1, "data": [{**data, "revised_prompt": "a fox"}]})

    def _size(self) -> tuple[int, int]:
        asked = [each for each in list(self.requests) if each.path.startswith("/v1/images/")]
        width, height = asked[-1].body["size"].split("x")
        return int(width), int(height)


@dataclass
class FakeWebUI(FakeGenerator):
    """The web UI of AUTOMATIC1111. It runs one task at a time and reports the progress of the current one."""

    steps: int = 4
    interrupts: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _interrupted: threading.Event = field(default_factory=threading.Event)
    _task: str | None = None
    _step: int = 0

    def respond(self, request: ReceivedRequest) -> Response:
        """Respond as its API does."""
        match request.path.removeprefix("/sdapi/v1/"):
            case "txt2img" | "img2img":
                if not isinstance(request.body.get("width"), int):
                    return Response({"detail": [{"loc": ["body", "width"], "msg": "not a valid integer"}]}, 422)
                return self.refusal or self._draw(request.body)
            case "progress":
                return Response(self._progress())
            case "interrupt":
                self.interrupts += 1
                self._interrupted.set()
                return Response({})
            case "sd-models":
                return Response([{"title": "fox.safetensors", "model_name": "fox"}])
        return Response({"detail": "Not Found"}, 404)

    def _draw(self, body: Any) -> Response:
        with self._lock:
            self._interrupted.clear()
            self._task, self._step = body["force_task_id"], 0
            # The first half of the steps is done at once, the rest once `busy` is cleared.
            self._step = self.steps // 2
            self.work(self._interrupted)
            self._task = None
        # An interrupted task returns the unfinished picture, as the real one does.
        drawn = base64.b64encode(generated_png(body["width"], body["height"])).decode()
        return Response({"images": [drawn], "parameters": {}, "info": "{}"})

    def _progress(self) -> object:
        share = self._step / self.steps if self._task else 0.0
        state = {"skipped": False, "interrupted": self._interrupted.is_set(), "sampling_step": self._step}
        return {"progress": share, "eta_relative": 1.0, "state": state, "current_task": self._task}


@dataclass
class FakeComfyUI(FakeGenerator):
    """ComfyUI, which rejects requests from other origins, unless `allows_any_origin` (its option --enable-cors-header)."""

    allows_any_origin: bool = True
    sends_no_events: bool = False
    fails: str | None = None
    listeners: dict[str, Server] = field(default_factory=dict)
    interrupted: list[str | None] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _interrupted: threading.Event = field(default_factory=threading.Event)
    _queue: list[tuple[int, str, Any]] = field(default_factory=list)
    _running: list[tuple[int, str, Any]] = field(default_factory=list)
    _history: dict[str, Any] = field(default_factory=dict)
    _sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    uploads: dict[str, bytes] = field(default_factory=dict)

    NODES: ClassVar[Mapping[str, object]] = {
        "CheckpointLoaderSimple": {"input": {"required": {"ckpt_name": [["fox.safetensors"], {}]}}},
        **{kind: {} for kind in ("KSampler", "EmptyLatentImage", "CLIPTextEncode", "VAEDecode", "SaveImage")},
    }

    def respond(self, request: ReceivedRequest) -> Response:
        """Respond as its server does."""
        origin = request.headers.get("origin")
        if origin and not self.allows_any_origin and urlsplit(origin).netloc != request.headers["host"]:
            return Response(status=403)
        handlers = {
            "/prompt": self._prompt,
            "/queue": self._queued,
            "/interrupt": self._interrupt,
            "/view": self._view,
            "/upload/image": self._upload,
        }
        if request.path in handlers:
            return handlers[request.path](request)
        if request.path.startswith("/history/"):
            entry = self._history.get(request.path[9:])
            return Response({} if entry is None else {request.path[9:]: entry})
        if request.path.startswith("/object_info/"):
            kind = request.path[13:]
            return Response({kind: self.NODES[kind]} if kind in self.NODES else {})
        return Response(status=404)

    def socket(self, wire: Server, request: ReceivedRequest) -> None:
        """Send events about the jobs of this client until it disconnects."""
        client = request.query["clientId"]
        self.listeners[client] = wire
        with suppress(ConnectionClosed, OSError):
            wire.send(json.dumps({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}}}))
            while True:
                wire.receive()
        self.listeners.pop(client, None)

    def _prompt(self, request: ReceivedRequest) -> Response:
        if self.refusal is not None:
            return self.refusal
        given = request.body
        if "prompt" not in given:
            error = {"type": "no_prompt", "message": "No prompt provided", "details": "", "extra_info": {}}
            return Response({"error": error, "node_errors": {}}, 400)
        name = given.get("prompt_id") or str(uuid.uuid4())
        with self._lock:
            self._queue.append((len(self._history), name, given))
        threading.Thread(target=self._run, daemon=True).start()
        return Response({"prompt_id": name, "number": len(self._history), "node_errors": {}})

    def _queued(self, request: ReceivedRequest) -> Response:
        with self._lock:
            if request.method == "POST":
                gone = request.body.get("delete", [])
                self._queue = [each for each in self._queue if each[1] not in gone]
                return Response()
            running = [[number, name] for number, name, _ in self._running]
            return Response({"queue_running": running, "queue_pending": [[n, name] for n, name, _ in self._queue]})

    def _interrupt(self, request: ReceivedRequest) -> Response:
        named = (request.body or {}).get("prompt_id")
        if named is None or named in [name for _, name, _ in self._running]:
            self.interrupted.append(named)
            self._interrupted.set()
        return Response()

    def _view(self, request: ReceivedRequest) -> Response:
        return Response(generated_png(*self._sizes[request.query["filename"]]), headers={"Content-Type": "image/png"})

    def _upload(self, request: ReceivedRequest) -> Response:
        name = f"{len(self.uploads)}.png"
        self.uploads[name] = request.body["image"]
        return Response({"name": name, "subfolder": "", "type": request.body["type"]})

    def _run(self) -> None:
        """Run the next job of the queue unless one is running, then the one after it."""
        with self._lock:
            if self._running or not self._queue:
                return
            self._running.append(self._queue.pop(0))
            self._interrupted.clear()
        _, name, given = self._running[0]
        self._send_event(given, "execution_start", prompt_id=name)
        self._send_event(given, "progress", prompt_id=name, node="3", value=10, max=20)
        done = self.work(self._interrupted)
        self._history[name] = self._entry(name, given["prompt"], done)
        with self._lock:
            self._running.clear()
        self._send_event(given, "executing", prompt_id=name, node=None)
        self._run()

    def _entry(self, name: str, workflow: Any, done: bool) -> object:
        if self.fails is not None:
            error = ["execution_error", {"node_type": "KSampler", "exception_message": self.fails}]
            return {"outputs": {}, "status": {"status_str": "error", "completed": False, "messages": [error]}}
        if not done:
            stopped = ["execution_interrupted", {"prompt_id": name}]
            return {"outputs": {}, "status": {"status_str": "error", "completed": False, "messages": [stopped]}}
        size = next(node["inputs"] for node in workflow.values() if node["class_type"] in SIZED)
        self._sizes[f"{name}.png"] = size["width"], size["height"]
        image = {"filename": f"{name}.png", "subfolder": "", "type": "output"}
        return {"outputs": {"9": {"images": [image]}}, "status": {"status_str": "success", "completed": True}}

    def _send_event(self, given: Any, kind: str, **data: object) -> None:
        wire = self.listeners.get(given["client_id"])
        if wire is not None and not self.sends_no_events:
            with suppress(ConnectionClosed, OSError):  # the client may have disconnected
                wire.send(json.dumps({"type": kind, "data": data}))


def _parsed(content_type: str, content: bytes) -> Any:
    kind, options = parse_options_header(content_type)
    if kind != "multipart/form-data":
        return json.loads(content) if content else None
    _, form, files = FormDataParser().parse(io.BytesIO(content), kind, len(content), options)
    return {**form.to_dict(), **{name: file.read() for name, file in files.items()}}


@contextmanager
def running_generator(generator: G) -> Iterator[G]:
    """Run the generator; it listens at its `url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self) -> None:
            request = self._received_request()
            generator.requests.append(request)
            if "upgrade" in request.headers and generator.respond(request).status != 403:
                self._upgrade(request)
                return
            response = generator.respond(request)
            content = response.body if isinstance(response.body, bytes) else json.dumps(response.body).encode()
            with suppress(OSError):  # the client may have disconnected
                self.send_response(response.status)
                for name, value in {"Content-Type": JSON, **response.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def _received_request(self) -> ReceivedRequest:
            address = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = _parsed(headers.get("content-type", ""), content)
            return ReceivedRequest(self.command, address.path, dict(parse_qsl(address.query)), headers, body)

        def _upgrade(self, request: ReceivedRequest) -> None:
            environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()}
            self.close_connection = True
            generator.socket(Server.accept({**environ, "werkzeug.socket": self.connection}), request)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        generator.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield generator
        generator.busy.clear()
        server.shutdown()
