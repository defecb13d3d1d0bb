"""Operations: a view together with its documentation. What is declared here is what is checked, served and documented."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from flask import Flask, Response
from pydantic import BaseModel
from pydantic.alias_generators import to_camel
from werkzeug.routing import BaseConverter

from app.domain.access import Need
from app.domain.errors import Refusal
from app.web import bodies
from app.web.batch_uploads import BatchUploads

ViewFunction = Callable[..., Any]
JSON = "application/json"


class RequestIdConverter(BaseConverter):
    """The part of a path that names a request, `<id:request_id>`.

    It does not match `generate`, which is a path of its own: GET there is 405, not a request that does not exist.
    """

    regex = "(?!generate$)[^/]+"


@dataclass(frozen=True, slots=True)
class ResponseSpec:
    """A successful response: a model as JSON, or as another content type that consists of JSON, bytes, or no body.

    `headers` are those beside the ones that every response has; `documents/openapi.json` describes them. A stream of events
    `follows` a request or a batch. `schema` and `example` describe another text.
    """

    description: str
    model: type[BaseModel] | None = None
    content_type: str | None = None
    status: int = 200
    headers: tuple[str, ...] = ()
    follows: str = "request"
    schema: Mapping[str, Any] | None = None
    example: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    `body` may be left out by the sender if it is `optional`; `uploads` reads it if it may come in other formats than JSON.
    `takes` is the content type of a body that is not JSON; with `form`, the schema of one, it may be a form with a file instead.
    `headers` are the schemas of request headers, and `need` is
    what the caller must present if the service requires credentials (see `access`). `refusals` are the domain errors beyond the
    usual ones that it may respond with, `errors` the HTTP statuses that Flask itself may refuse with. `openai` is whether
    errors have the form of OpenAI's API.
    """

    method: str
    rule: str
    view: ViewFunction
    tag: str
    summary: str
    description: str
    responses: tuple[ResponseSpec, ...]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    optional: bool = False
    uploads: BatchUploads | None = None
    takes: str | None = None
    form: Mapping[str, Any] | None = None
    headers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    refusals: tuple[type[Refusal], ...] = ()
    errors: tuple[int, ...] = ()
    need: Need = Need.READ
    openai: bool = False

    @property
    def name(self) -> str:
        """The operation's id: its view's name in camelCase."""
        return to_camel(self.view.__name__)


class Api:
    """Collects operations, and what each of them needs of its caller by its name, and adds them to an application."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.needs: dict[str, Need] = {}

    def operation(self, method: str, rule: str, **fields: Any) -> Callable[[ViewFunction], ViewFunction]:
        """Declare the decorated view as an operation with these fields (see Operation). Its docstring is the description.

        The view is called with the path's parts, and with the validated `query` and `body` if they are declared. It
        returns a model, which is sent with the status of the first response, or a Flask response.
        """

        def decorate(view: ViewFunction) -> ViewFunction:
            description = " ".join((view.__doc__ or "").split())
            operation = Operation(method, rule, view, description=description, **fields)
            self.operations.append(operation)
            self.needs[operation.name] = operation.need
            return view

        return decorate

    def install(self, app: Flask) -> None:
        """Serve every operation on `app`."""
        app.url_map.converters["id"] = RequestIdConverter
        for operation in self.operations:
            app.add_url_rule(operation.rule, operation.name, _endpoint(operation), methods=[operation.method])


def json_response(model: BaseModel, status: int = 200) -> Response:
    """The model as JSON in camelCase, without fields that are None."""
    return Response(json_text(model), status, content_type=JSON)


def json_text(model: BaseModel) -> str:
    """The body of `json_response`."""
    return model.model_dump_json(exclude_none=True)


def _body(operation: Operation, query: Any) -> Any:
    assert operation.body is not None
    if operation.uploads is not None:
        return operation.uploads.read(operation.body, partial=query.partial)
    return bodies.json_body(operation.body, optional=operation.optional)


def _endpoint(operation: Operation) -> ViewFunction:
    @wraps(operation.view)
    def endpoint(**arguments: Any) -> Any:
        if operation.query is not None:
            arguments["query"] = bodies.query(operation.query)
        if operation.takes is not None or operation.form is not None:
            bodies.check_not_compressed()
        if operation.body is not None:
            arguments["body"] = _body(operation, arguments.get("query"))
        result = operation.view(**arguments)
        return json_response(result, operation.responses[0].status) if isinstance(result, BaseModel) else result

    return endpoint
