"""Styles: define, list, change and remove them."""

from flask import Response, g
from flask_limiter import Limiter

from app.container import Services
from app.domain.access import Need
from app.domain.clock import wire_now
from app.domain.errors import AlreadyExists, Forbidden, NotFound, RateLimited, TooManyStyles
from app.domain.image_request import DEFAULT_USER
from app.web import limits
from app.web.api import Api, ResponseSpec
from app.web.style_schemas import NewStyle, StyleDetails, StyleFields, StyleListQuery, StylePage, StyleQuery

TAG = "Styles"
STYLES = "/api/styles"
ONE_STYLE = f"{STYLES}/<name>"


def operations(api: Api, services: Services, limiter: Limiter) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "POST",
        STYLES,
        tag=TAG,
        summary="Define a style",
        body=NewStyle,
        need=Need.WRITE,
        responses=(ResponseSpec("The style is stored", StyleDetails, status=201, headers=limits.HEADERS),),
        refusals=(Forbidden, AlreadyExists, TooManyStyles, RateLimited),
    )
    @limits.submitted_for(_author)
    @limits.per_submission(limiter, services.settings.limits)
    def create_style(body: NewStyle) -> StyleDetails:
        """A template that requests name as `style`, with a model and parameters for requests that say nothing else. What the
        template names must be declared in `variables`, and the other way round. A style of yours hides one of everybody's
        with the same name."""
        return StyleDetails.of(services.styles.create(_owner(g.user_id, body.shared), body.style(body.name)))

    @api.operation(
        "GET",
        STYLES,
        tag=TAG,
        summary="List styles",
        query=StyleListQuery,
        responses=(ResponseSpec("A page of styles, ordered by name", StylePage),),
        refusals=(Forbidden,),
    )
    def list_styles(query: StyleListQuery) -> StylePage:
        """The styles that your requests can name: your own, and those of everybody that none of yours hides."""
        page = services.styles.page(_user(query.user_id), query.cursor, query.limit, shared=query.shared)
        return StylePage(
            styles=[StyleDetails.of(each) for each in page.styles], next_cursor=page.cursor, timestamp=wire_now()
        )

    @api.operation(
        "GET",
        ONE_STYLE,
        tag=TAG,
        summary="Get a style",
        query=StyleQuery,
        responses=(ResponseSpec("The style", StyleDetails),),
        refusals=(Forbidden, NotFound),
    )
    def get_style(name: str, query: StyleQuery) -> StyleDetails:
        """The style that a request of yours means with this name: your own, or else everybody's."""
        return StyleDetails.of(services.styles.find(_user(query.user_id), name, shared=query.shared))

    @api.operation(
        "PUT",
        ONE_STYLE,
        tag=TAG,
        summary="Replace a style",
        query=StyleQuery,
        body=StyleFields,
        need=Need.WRITE,
        responses=(ResponseSpec("The style as it is now", StyleDetails),),
        refusals=(Forbidden, NotFound),
    )
    def replace_style(name: str, query: StyleQuery, body: StyleFields) -> StyleDetails:
        """Replace a style of yours, or everybody's with `shared`, for operators. What the body leaves out is removed from it.
        Requests that were made before keep the prompt, the model and the parameters that they were made with."""
        return StyleDetails.of(services.styles.replace(_owner(_user(query.user_id), query.shared), body.style(name)))

    @api.operation(
        "DELETE",
        ONE_STYLE,
        tag=TAG,
        summary="Remove a style",
        query=StyleQuery,
        need=Need.WRITE,
        responses=(ResponseSpec("The style is removed", status=204),),
        refusals=(Forbidden, NotFound),
    )
    def remove_style(name: str, query: StyleQuery) -> Response:
        """Remove a style of yours, or everybody's with `shared`, for operators. Requests that were made with it stay as they
        are."""
        services.styles.remove(_owner(_user(query.user_id), query.shared), name)
        return Response(status=204)


def _author(body: NewStyle) -> str:
    return _user(body.user_id if "user_id" in body.model_fields_set else None)


def _user(claimed: str | None) -> str:
    """The user whose styles are meant. Raises Forbidden."""
    return g.caller.user_for(claimed) or DEFAULT_USER


def _owner(user: str, shared: bool) -> str | None:
    """The owner of a style that is about to change. Raises Forbidden if it is everybody's and the caller is no operator."""
    if shared:
        g.caller.check(Need.OPERATE)
    return None if shared else user
