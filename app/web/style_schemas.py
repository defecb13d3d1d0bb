"""Bodies, queries and answers of the operations on styles."""

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from app.db.styles import StoredStyle
from app.domain import image_request, styles
from app.domain.clock import wire_time
from app.domain.image_request import DEFAULT_USER
from app.domain.styles import Style
from app.domain.wire_types import Time, WireModel
from app.web.parameter_schema import PARAMETERS
from app.web.request_schemas import CONTROLS, TEXT, Query, checked, user_field

_VARIABLE = styles.VARIABLE.pattern
_PIECE = rf"(?:[^{{}}{CONTROLS}]|\{{\{{|\}}\}}|\{{{_VARIABLE}\}})*"
_DEFAULTS = {
    "type": "object",
    "propertyNames": {"pattern": rf"^{_VARIABLE}$", "not": {"const": styles.PROMPT}},
    "additionalProperties": {"type": ["string", "null"], "maxLength": styles.VARIABLE_CHARS, "pattern": TEXT},
    "maxProperties": styles.VARIABLES,
}
NAME = {"type": "string", "pattern": rf"^{styles.NAME.pattern}$"}


class StyleFields(BaseModel):
    """What a style is, beside its name. A field that is null counts as absent."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid")

    template: Annotated[
        str,
        checked(
            styles.clean_template,
            type="string",
            minLength=len("{prompt}"),
            maxLength=styles.TEMPLATE_CHARS,
            pattern=rf"^{_PIECE}\{{{styles.PROMPT}\}}{_PIECE}$",
            description="The text around the prompt: `{prompt}` at least once, `{name}` for each variable, `{{` and `}}` for braces.",
        ),
    ]
    variables: Annotated[
        dict[str, str | None],
        checked(
            styles.clean_declared,
            **{**_DEFAULTS, "type": ["object", "null"]},
            description="The variables that the template names, each with its default, or null if a request has to give it.",
        ),
    ] = Field(default_factory=dict)
    model: Annotated[
        str | None,
        checked(
            image_request.clean_model,
            type=["string", "null"],
            pattern=rf"^{image_request.MODEL.pattern}$",
            description="The model of requests that name none.",
        ),
    ] = None
    parameters: Annotated[dict[str, Any], checked(image_request.clean_parameters, **PARAMETERS)] = Field(
        default_factory=dict
    )
    description: Annotated[
        str | None,
        checked(styles.clean_description, type=["string", "null"], maxLength=styles.DESCRIPTION_CHARS, pattern=TEXT),
    ] = None

    def style(self, name: str) -> Style:
        """The style with this name."""
        return Style(name, self.template, self.variables, self.model, self.parameters, self.description)


class NewStyle(StyleFields):
    """A style with its name. A field that is null counts as absent."""

    name: Annotated[str, checked(styles.clean_name, **NAME, description="Unique among your styles, without case.")]
    shared: Annotated[bool, WithJsonSchema({"type": ["boolean", "null"], "default": False})] = Field(
        False, strict=True, description="Make it for everybody, for operators."
    )
    user_id: Annotated[str, user_field(["string", "null"], default=DEFAULT_USER)] = DEFAULT_USER


class StyleQuery(Query):
    """Which style of a name is meant."""

    user_id: Annotated[str | None, user_field("string", description="Whose style. Default: yours.")] = None
    shared: bool = Field(False, description="Everybody's style of this name.")


class StyleListQuery(Query):
    """Which styles to list."""

    user_id: Annotated[str | None, user_field("string", description="Whose styles. Default: yours.")] = None
    shared: bool | None = Field(None, description="Only everybody's, or only your own.")
    limit: int = Field(20, ge=1, le=100, description="Maximum number of results.")
    cursor: Annotated[str | None, Field(pattern=NAME["pattern"], description="`nextCursor` of the previous page.")] = (
        None
    )


class StyleDetails(WireModel):
    """A style."""

    name: str
    shared: bool = Field(description="whether it is everybody's")
    user_id: str | None = Field(None, description="whose it is, if it is not everybody's")
    description: str | None = None
    template: str
    variables: Annotated[dict[str, str | None], WithJsonSchema(_DEFAULTS)] = Field(
        description="the default of each; null if a request has to give it"
    )
    model: str | None = None
    parameters: dict[str, Any]
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, stored: StoredStyle) -> Self:
        """The stored style as it is sent."""
        style = stored.style
        return cls(
            name=style.name,
            shared=stored.owner is None,
            user_id=stored.owner,
            description=style.description,
            template=style.template,
            variables=dict(style.variables),
            model=style.model,
            parameters=dict(style.parameters),
            created_at=wire_time(stored.created_at),
            updated_at=wire_time(stored.updated_at),
        )


class StylePage(WireModel):
    """Styles, in the order of their names."""

    styles: list[StyleDetails]
    next_cursor: str | None = Field(None, description="send it as `cursor` for the next page; absent on the last one")
    timestamp: Time
