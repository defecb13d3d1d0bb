"""Picture generators on this machine: real HTTP servers that speak as OpenAI's, AUTOMATIC1111's and ComfyUI's do.

Each draws the same picture for the same size, and keeps what it was asked in `asked`.
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

G = TypeVar("G", bound="Generator")
JSON = "application/json"
PATIENCE_S = 60.0


def generated(width: int, height: int) -> Image.Image:
    """What every generator here draws."""
    down = Image.linear_gradient("L").resize((width, height))
    across = down.transpose(Image.Transpose.ROTATE_180)
    return Image.merge("RGB", (down, across, Image.radial_gradient("L").resize((width, height))))


def generated_png(width: int, height: int) -> bytes:
    """The same as a file."""
    stream = io.BytesIO()
    generated(width, height).save(stream, "PNG")
    return stream.getvalue()


@dataclass(frozen=True)
class Question:
    """One request; header names in lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Answer:
    """What is said to it; a body that is not bytes goes out as JSON."""

    body: object = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Generator:
    """What all have in common. `refusal` is the answer to whatever asks for work; while `busy` is set, none is done."""

    url: str = ""
    asked: list[Question] = field(default_factory=list)
    refusal: Answer | None = None
    busy: threading.Event = field(default_factory=threading.Event)

    def answer(self, question: Question) -> Answer:
        """What it says."""
        raise NotImplementedError

    def socket(self, wire: Server, question: Question) -> None:
        """What it says over a socket."""
        raise NotImplementedError

    def asked_for(self, path: str, method: str = "POST") -> list[Question]:
        """The questions of a kind."""
        return [each for each in list(self.asked) if (each.path, each.method) == (path, method)]

    def work(self, interrupted: threading.Event) -> bool:
        """Work until it is no longer busy; False where it was interrupted."""
        end = time.monotonic() + PATIENCE_S
        while self.busy.is_set() and time.monotonic() < end:
            if interrupted.wait(0.02):
                return False
        return not interrupted.is_set()


@dataclass
class OpenAI(Generator):
    """An images API. `key` lets in; `by_url` has it answer with an address."""

    key: str = "sk-good"
    by_url: bool = False

    def answer(self, question: Question) -> Answer:
        """As documented."""
        if question.path == "/files/picture.png":
            return Answer(generated_png(*self._size()), headers={"Content-Type": "image/png"})
        if question.headers.get("authorization") != f"Bearer {self.key}":
            error = {
                "message": "Incorrect API key provided.",
                "type": "invalid_request_error",
                "code": "invalid_api_key",
            }
            return Answer({"error": error}, 401)
        if question.path == "/v1/models":
            return Answer({"object": "list", "data": [{"id": "gpt-image-1", "object": "model"}]})
        if self.refusal is not None:
            return self.refusal
        self.work(threading.Event())
        drawn = base64.b64encode(generated_png(*self._size())).decode()
        data = {"url": f"{self.url}/files/picture.png"} if self.by_url else {"b64_json": drawn}
        return Answer({"created": 1, "data": [{**data, "revised_prompt": "a fox"}]})

    def _size(self) -> tuple[int, int]:
        width, height = self.asked_for("/v1/images/generations")[-1].body["size"].split("x")
        return int(width), int(height)


@dataclass
class WebUI(Generator):
    """AUTOMATIC1111's. One piece of work at a time; its progress is that of whatever it is at."""

    steps: int = 4
    interrupts: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _interrupted: threading.Event = field(default_factory=threading.Event)
    _task: str | None = None
    _step: int = 0

    def answer(self, question: Question) -> Answer:
        """As its API does."""
        match question.path.removeprefix("/sdapi/v1/"):
            case "txt2img":
                return self.refusal or self._draw(question.body)
            case "progress":
                return Answer(self._progress())
            case "interrupt":
                self.interrupts += 1
                self._interrupted.set()
                return Answer({})
            case "sd-models":
                return Answer([{"title": "fox.safetensors", "model_name": "fox"}])
        return Answer({"detail": "Not Found"}, 404)

    def _draw(self, asked: Any) -> Answer:
        with self._lock:
            self._interrupted.clear()
            self._task, self._step = asked["force_task_id"], 0
            # Half of it is done at once, and the other half once it is no longer busy.
            self._step = self.steps // 2
            self.work(self._interrupted)
            self._task = None
        # What was interrupted is answered with what there is of it.
        drawn = base64.b64encode(generated_png(asked["width"], asked["height"])).decode()
        return Answer({"images": [drawn], "parameters": {}, "info": "{}"})

    def _progress(self) -> object:
        share = self._step / self.steps if self._task else 0.0
        state = {"skipped": False, "interrupted": self._interrupted.is_set(), "sampling_step": self._step}
        return {"progress": share, "eta_relative": 1.0, "state": state, "current_task": self._task}


@dataclass
class ComfyUI(Generator):
    """ComfyUI, which turns away whoever comes from another page; `open_to_all` is --enable-cors-header."""

    open_to_all: bool = True
    deaf: bool = False
    fails: str | None = None
    listeners: dict[str, Server] = field(default_factory=dict)
    interrupted: list[str | None] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _interrupted: threading.Event = field(default_factory=threading.Event)
    _queue: list[tuple[int, str, Any]] = field(default_factory=list)
    _running: list[tuple[int, str, Any]] = field(default_factory=list)
    _history: dict[str, Any] = field(default_factory=dict)
    _sizes: dict[str, tuple[int, int]] = field(default_factory=dict)

    CHECKPOINTS: ClassVar[object] = {
        "CheckpointLoaderSimple": {"input": {"required": {"ckpt_name": [["fox.safetensors"], {}]}}}
    }

    def answer(self, question: Question) -> Answer:
        """As its server does."""
        origin = question.headers.get("origin")
        if origin and not self.open_to_all and urlsplit(origin).netloc != question.headers["host"]:
            return Answer(status=403)
        handlers = {"/prompt": self._prompt, "/queue": self._queued, "/interrupt": self._interrupt, "/view": self._view}
        if question.path in handlers:
            return handlers[question.path](question)
        if question.path.startswith("/history/"):
            entry = self._history.get(question.path[9:])
            return Answer({} if entry is None else {question.path[9:]: entry})
        return Answer(self.CHECKPOINTS) if question.path.startswith("/object_info/") else Answer(status=404)

    def socket(self, wire: Server, question: Question) -> None:
        """Listeners hear of the work that they asked for."""
        client = question.query["clientId"]
        self.listeners[client] = wire
        with suppress(ConnectionClosed, OSError):
            wire.send(json.dumps({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 0}}}}))
            while True:
                wire.receive()
        self.listeners.pop(client, None)

    def _prompt(self, question: Question) -> Answer:
        if self.refusal is not None:
            return self.refusal
        given = question.body
        name = given.get("prompt_id") or str(uuid.uuid4())
        with self._lock:
            self._queue.append((len(self._history), name, given))
        threading.Thread(target=self._run, daemon=True).start()
        return Answer({"prompt_id": name, "number": len(self._history), "node_errors": {}})

    def _queued(self, question: Question) -> Answer:
        with self._lock:
            if question.method == "POST":
                gone = question.body.get("delete", [])
                self._queue = [each for each in self._queue if each[1] not in gone]
                return Answer()
            running = [[number, name] for number, name, _ in self._running]
            return Answer({"queue_running": running, "queue_pending": [[n, name] for n, name, _ in self._queue]})

    def _interrupt(self, question: Question) -> Answer:
        named = (question.body or {}).get("prompt_id")
        if named is None or named in [name for _, name, _ in self._running]:
            self.interrupted.append(named)
            self._interrupted.set()
        return Answer()

    def _view(self, question: Question) -> Answer:
        return Answer(generated_png(*self._sizes[question.query["filename"]]), headers={"Content-Type": "image/png"})

    def _run(self) -> None:
        """Take the next of the queue, where nothing runs; each end lets the next begin."""
        with self._lock:
            if self._running or not self._queue:
                return
            self._running.append(self._queue.pop(0))
            self._interrupted.clear()
        _, name, given = self._running[0]
        self._say(given, "execution_start", prompt_id=name)
        self._say(given, "progress", prompt_id=name, node="3", value=10, max=20)
        done = self.work(self._interrupted)
        self._history[name] = self._entry(name, given["prompt"], done)
        with self._lock:
            self._running.clear()
        self._say(given, "executing", prompt_id=name, node=None)
        self._run()

    def _entry(self, name: str, workflow: Any, done: bool) -> object:
        if self.fails is not None:
            error = ["execution_error", {"node_type": "KSampler", "exception_message": self.fails}]
            return {"outputs": {}, "status": {"status_str": "error", "completed": False, "messages": [error]}}
        if not done:
            stopped = ["execution_interrupted", {"prompt_id": name}]
            return {"outputs": {}, "status": {"status_str": "error", "completed": False, "messages": [stopped]}}
        size = next(node["inputs"] for node in workflow.values() if node["class_type"] == "EmptyLatentImage")
        self._sizes[f"{name}.png"] = size["width"], size["height"]
        image = {"filename": f"{name}.png", "subfolder": "", "type": "output"}
        return {"outputs": {"9": {"images": [image]}}, "status": {"status_str": "success", "completed": True}}

    def _say(self, given: Any, kind: str, **data: object) -> None:
        wire = self.listeners.get(given["client_id"])
        if wire is not None and not self.deaf:
            with suppress(ConnectionClosed, OSError):  # whoever listens may be gone
                wire.send(json.dumps({"type": kind, "data": data}))


@contextmanager
def running(generator: G) -> Iterator[G]:
    """The generator, answering at its `url`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self) -> None:
            question = self._question()
            generator.asked.append(question)
            if "upgrade" in question.headers and generator.answer(question).status != 403:
                self._upgrade(question)
                return
            answer = generator.answer(question)
            content = answer.body if isinstance(answer.body, bytes) else json.dumps(answer.body).encode()
            with suppress(OSError):  # whoever asked may be gone
                self.send_response(answer.status)
                for name, value in {"Content-Type": JSON, **answer.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def _question(self) -> Question:
            address = urlsplit(self.path)
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(content) if content else None
            return Question(self.command, address.path, dict(parse_qsl(address.query)), headers, body)

        def _upgrade(self, question: Question) -> None:
            environ = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in question.headers.items()}
            self.close_connection = True
            generator.socket(Server.accept({**environ, "werkzeug.socket": self.connection}), question)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        generator.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield generator
        generator.busy.clear()
        server.shutdown()
