"""Styles: named templates for prompts, with variables, a model and parameters of their own.

A template is text with `{prompt}`, `{name}` for each variable, and `{{` and `}}` for braces. It is filled in one pass: what is
inserted is text and never read as a template, so nothing can name itself.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from app.domain import image_request
from app.domain.errors import InvalidPrompt, InvalidRequest, InvalidVariables, UnknownStyle
from app.domain.image_request import EXTRA_PARAMETERS, PROMPT_CHARS, ImageRequest
from app.domain.json_text import printable

TEMPLATE_CHARS = PROMPT_CHARS
DESCRIPTION_CHARS = 500
VARIABLES = 32
VARIABLE_CHARS = 1_000
STYLES_EACH = 1_000  # of one owner
PROMPT = "prompt"
NAMES_SHOWN = 10

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._ -]{0,62}[A-Za-z0-9._-])?")
VARIABLE = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_BRACES = {"{{": "{", "}}": "}"}


@dataclass(frozen=True, slots=True)
class Style:
    """A named template. `variables` are those that it names, each with its default, None if a request has to give it.

    `model` and `parameters` are for requests that say nothing else.
    """

    name: str
    template: str
    variables: Mapping[str, str | None] = field(default_factory=dict)
    model: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    description: str | None = None


@dataclass(frozen=True, slots=True)
class Resolved:
    """What a style makes of a prompt and variables."""

    prompt: str
    model: str | None
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Template:
    """The parts of a template in order: texts, and the names of what is inserted between them."""

    texts: tuple[str, ...]  # one more than names
    names: tuple[str, ...]


def clean_name(value: object) -> str:
    """The name of a style. Raises InvalidRequest."""
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise InvalidRequest(
            "The name of a style must be a string of 1 to 64 letters, digits, spaces and . _ - that begins with a letter or "
            "digit and does not end with a space."
        )
    return value


def clean_style(value: object) -> str:
    """The style that a request names. Raises InvalidRequest."""
    try:
        return clean_name(value)
    except InvalidRequest as error:
        raise InvalidRequest(f"style is not the name of a style. {error.detail}") from None


def name_key(name: str) -> str:
    """What is the same for names that differ only in case."""
    return name.lower()


def clean_template(value: object) -> str:
    """A template, whose variables are still to be compared with the declared ones (`check`). Raises InvalidRequest."""
    template = image_request.clean_text("template", value, TEMPLATE_CHARS)
    if PROMPT not in _parsed(template).names:
        raise InvalidRequest("template does not contain {prompt}: put it where the prompt of a request belongs.")
    return template


def clean_description(value: object) -> str:
    """The description of a style. Raises InvalidRequest."""
    return image_request.clean_text("description", value, DESCRIPTION_CHARS)


def clean_declared(value: object) -> dict[str, str | None]:
    """The variables that a style declares, with their defaults. Raises InvalidRequest."""
    declared: dict[str, str | None] = {}
    for name, default in _members(value, InvalidRequest).items():
        if name == PROMPT:
            raise InvalidRequest("variables must not contain prompt: {prompt} is always the prompt of the request.")
        declared[name] = (
            None if default is None else image_request.clean_text(f"variables.{name}", default, VARIABLE_CHARS)
        )
    return declared


def clean_variables(value: object) -> dict[str, str]:
    """The variables of a request; those that are null count as absent. Raises InvalidVariables."""
    try:
        return {
            name: image_request.clean_text(f"variables.{name}", text, VARIABLE_CHARS)
            for name, text in _members(value, InvalidVariables).items()
            if text is not None
        }
    except InvalidRequest as error:
        raise InvalidVariables(error.detail) from None


def check(style: Style) -> None:
    """Check that the template names exactly the declared variables. Raises InvalidRequest."""
    named = set(_parsed(style.template).names) - {PROMPT}
    if undeclared := sorted(named - set(style.variables)):
        raise InvalidRequest(
            f"template names what variables does not declare: {_listed(undeclared)}. "
            "Declare each one with its default, or with null if a request has to give it; write {{ and }} for braces."
        )
    if unused := sorted(set(style.variables) - named):
        raise InvalidRequest(f"variables declares what template does not name: {_listed(unused)}. Remove it.")


def resolve(style: Style, prompt: str, variables: Mapping[str, str]) -> Resolved:
    """Fill in the style's template. Raises InvalidVariables, and InvalidPrompt if the result is too long to be a prompt."""
    _check_variables(style, variables)
    defaults = {name: default for name, default in style.variables.items() if default is not None}
    values = {**defaults, **variables, PROMPT: prompt}
    template = _parsed(style.template)
    inserted = [values[name] for name in template.names]
    length = sum(map(len, template.texts)) + sum(map(len, inserted))
    if length > PROMPT_CHARS:  # counted first: a prompt that is inserted many times would become a very long text
        raise InvalidPrompt(
            f"prompt with the style {style.name} is {length:,} characters long: at most {PROMPT_CHARS:,} are allowed."
        )
    filled = "".join(text + value for text, value in zip(template.texts, [*inserted, ""], strict=True))
    return Resolved(image_request.clean_prompt(filled), style.model, style.parameters)


def apply(style: Style | None, order: ImageRequest) -> ImageRequest:
    """The request with its style applied: its own model and parameters come before those of the style.

    Raises InvalidVariables, InvalidPrompt, InvalidRequest.
    """
    if style is None:
        if order.variables:
            raise InvalidVariables("variables is only for requests with a style: name one in style.")
        return order
    resolved = resolve(style, order.prompt, order.variables)
    parameters = {**resolved.parameters, **order.parameters}
    if len(parameters) > EXTRA_PARAMETERS:
        raise InvalidRequest(
            f"parameters has {len(parameters)} fields with those of the style {style.name}: at most {EXTRA_PARAMETERS} are allowed."
        )
    return replace(
        order,
        prompt=resolved.prompt,
        model=order.model or resolved.model,
        parameters=parameters,
        style=style.name,
        original_prompt=order.prompt,
    )


def unknown(name: str, known: Iterable[str]) -> UnknownStyle:
    """The refusal of a name; `known` are the styles that could have been meant."""
    names = {name_key(each): each for each in known}
    close = [names[key] for key in get_close_matches(name_key(name), names, 3)]
    if close:
        remedy = f"Did you mean {' or '.join(close)}?"
    elif names:
        remedy = f"There are {_listed(sorted(names.values(), key=name_key))}."
    else:
        remedy = "There are none: create it with POST /api/styles."
    return UnknownStyle(
        f"style names no style of yours or of everybody: {name}. {remedy} (An option for the generator is parameters.style.)"
    )


def _check_variables(style: Style, given: Mapping[str, str]) -> None:
    declared = style.variables
    if extra := sorted(set(given) - set(declared)):
        has = f"it has {_listed(sorted(declared))}" if declared else "it has none"
        raise InvalidVariables(f"variables has what the style {style.name} does not declare: {_listed(extra)}; {has}.")
    if missing := sorted(name for name, default in declared.items() if default is None and name not in given):
        raise InvalidVariables(f"variables lacks what the style {style.name} needs: {_listed(missing)}.")


def _members(value: object, refusal: type[InvalidRequest] | type[InvalidVariables]) -> dict[str, object]:
    """The variables in a JSON object by their names."""
    if not isinstance(value, Mapping):
        raise refusal("variables must be a JSON object.")
    if len(value) > VARIABLES:
        raise refusal(f"variables has {len(value)} fields: at most {VARIABLES} are allowed.")
    for name in value:
        if not VARIABLE.fullmatch(name):
            raise refusal(
                f"variables contains a name that is not allowed: {printable(name)}. Use 1 to 64 letters, digits and _, "
                "beginning with a letter."
            )
    return dict(value)


@lru_cache(maxsize=256)
def _parsed(template: str) -> _Template:
    """The parts of a template. Raises InvalidRequest."""
    texts: list[str] = []
    names: list[str] = []
    text, end = "", 0
    for token in _TOKEN.finditer(template):
        text += template[end : token.start()]
        end = token.end()
        if token[0] in _BRACES:
            text += _BRACES[token[0]]
        else:
            names.append(_placeholder(token))
            texts.append(text)
            text = ""
    return _Template((*texts, text + template[end:]), tuple(names))


def _placeholder(token: re.Match[str]) -> str:
    where = token.start() + 1
    if token[1] is None:
        raise InvalidRequest(
            f"template has a single {token[0]} as character {where:,}: write {2 * token[0]} for a brace."
        )
    if not VARIABLE.fullmatch(token[1]):
        raise InvalidRequest(
            f"template has {printable(token[0])} as character {where:,}, which names no variable: a name has 1 to 64 letters, "
            "digits and _ and begins with a letter; write {{ and }} for braces."
        )
    return token[1]


def _listed(names: list[str]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
