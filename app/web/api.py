"""Operations: a view together with what the API page says of it. What is declared here is what is checked and served."""

from __future__ import annotations

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

View = Callable[..., Any]
JSON = "application/json"


class RequestId(BaseConverter):
    """The part of an address that names a request, `<id:request_id>`. `generate` stands at the same place and is none:
    GET on it is a method that it does not take, not a request that is not found."""

    regex = "(?!generate$)[^/]+"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a good answer is: a model as JSON, or bytes of another content type, or nothing.

    `headers` are those that it carries beside the ones that every answer has; `responses.HEADERS` explains them.
    """

    description: str
    model: type[BaseModel] | None = None
    content_type: str | None = None
    status: int = 200
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one address. `takes` is the content type of a body that is not JSON.

    `need` is what its caller must come with, where not everybody is let in (see `app.web.access`).
    `refusals` are the domain's that it may answer with; `errors` the HTTP statuses that Flask itself refuses with.
    """

    method: str
    rule: str
    view: View
    tag: str
    summary: str
    description: str
    answers: tuple[Answer, ...]
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    takes: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    refusals: tuple[type[Refusal], ...] = ()
    errors: tuple[int, ...] = ()
    need: Need = Need.READ

    @property
    def name(self) -> str:
        """The operation's id: its view's name in camelCase."""
        return to_camel(self.view.__name__)


class Api:
    """Collects operations, and by their names what each needs of its caller, and puts them on an application."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []
        self.needs: dict[str, Need] = {}

    def operation(self, method: str, rule: str, **said: Any) -> Callable[[View], View]:
        """Declare the decorated view as an operation (see Operation). Its docstring is the description.

        The view is called with the URL's parts, and `query` and `body` where they are declared, already checked.
        """

        def decorate(view: View) -> View:
            description = " ".join((view.__doc__ or "").split())
            operation = Operation(method, rule, view, description=description, **said)
            self.operations.append(operation)
            self.needs[operation.name] = operation.need
            return view

        return decorate

    def install(self, app: Flask) -> None:
        """Serve every operation on `app`."""
        app.url_map.converters["id"] = RequestId
        for operation in self.operations:
            app.add_url_rule(operation.rule, operation.name, _served(operation), methods=[operation.method])


def as_text(model: BaseModel) -> str:
    """The model as it goes out: JSON in camelCase, without what is None."""
    return model.model_dump_json(by_alias=True, exclude_none=True)


def as_json(model: BaseModel, status: int = 200) -> Response:
    """The same as an answer."""
    return Response(as_text(model), status, content_type=JSON)


def _served(operation: Operation) -> View:
    @wraps(operation.view)
    def serve(**parts: Any) -> Any:
        if operation.query is not None:
            parts["query"] = bodies.query(operation.query)
        if operation.body is not None:
            parts["body"] = bodies.json_body(operation.body)
        answer = operation.view(**parts)
        return as_json(answer, operation.answers[0].status) if isinstance(answer, BaseModel) else answer

    return serve
