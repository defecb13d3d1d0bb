"""Who the caller is, and what is left of its limits."""

import math
from typing import Annotated

from flask import g
from flask_limiter import Limiter
from limits.util import WindowStats

from app.container import Services
from app.domain import image_request
from app.domain.access import Caller, Credential, Need, Role
from app.domain.clock import wire_now, wire_time
from app.domain.errors import Forbidden
from app.services.allowances import Allowance
from app.version import VERSION
from app.web import limits
from app.web.account_schemas import CredentialPart, Me, QuotaPart, RatePart, TierPart
from app.web.api import Api, ResponseSpec
from app.web.request_schemas import Query, user_field

TAG = "Access"


class MeQuery(Query):
    """Whose limits to show."""

    user_id: Annotated[
        str | None,
        user_field("string", description="The user whose limits are shown, by default you; operators may name any."),
    ] = None


def operations(api: Api, services: Services, limiter: Limiter) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "GET",
        "/api/me",
        tag=TAG,
        summary="Get who you are, and what is left of your limits",
        query=MeQuery,
        need=Need.CALLER,
        responses=(ResponseSpec("The caller and its limits", Me),),
        refusals=(Forbidden,),
    )
    def get_me(query: MeQuery) -> Me:
        """The role and scopes of the key or token that is sent, the tier of its owner, and how much is left of the rate limit
        and of each quota. Asking costs nothing. Where no credential is needed, limits count by address and `userId`."""
        caller: Caller = g.caller
        if caller.role is Role.EXTENSION:
            return _described(caller, g.credential, services)
        user = caller.user_for(query.user_id) or image_request.DEFAULT_USER
        left = limits.left(limiter, services.settings.limits, _limited(caller, user), user)
        return _described(caller, g.credential, services, services.allowances.of(user), left)


def _limited(caller: Caller, user: str) -> Caller:
    """The caller whose limits are shown. That of a user whom an operator asks about is the user."""
    return caller if caller.user_id in {None, user} else Caller(caller.address, user)


def _described(
    caller: Caller,
    credential: Credential | None,
    services: Services,
    allowance: Allowance | None = None,
    left: tuple[int, WindowStats] | None = None,
) -> Me:
    is_extension = caller.role is Role.EXTENSION
    required = services.access.required
    return Me(
        user_id=None if is_extension else caller.user_id,
        extension_id=credential.subject if is_extension and credential is not None else None,
        role=caller.role,
        scopes=sorted(credential.scopes) if credential is not None else [],
        operator=caller.is_operator or not (required or caller.authenticated),
        credential_required=required,
        credential=None if credential is None else _credential(credential),
        tier=None if allowance is None else TierPart.of(allowance.tier),
        rate=None if left is None else _rate(*left),
        quotas=[] if allowance is None else [QuotaPart.of(each) for each in allowance.quotas],
        version=VERSION,
        timestamp=wire_now(),
    )


def _credential(credential: Credential) -> CredentialPart:
    ends = credential.expires_at
    return CredentialPart(kind=credential.kind, id=credential.id, expires_at=None if ends is None else wire_time(ends))


def _rate(most: int, stats: WindowStats) -> RatePart:
    return RatePart(
        limit=most, remaining=max(0, stats.remaining), full_at=wire_time(math.ceil(stats.reset_time * 1000))
    )
