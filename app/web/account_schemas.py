"""The answer to who a caller is, and what is left of its limits."""

from typing import Literal, Self

from pydantic import Field

from app.domain.access import CredentialKind, Role, Scope
from app.domain.tiers import Tier
from app.domain.wire_types import Time, WireModel
from app.services.allowances import Quota
from app.web.queue_schemas import Class

QuotaName = Literal["QUOTA_WAITING", "QUOTA_BATCH_ITEMS", "QUOTA_PER_DAY", "QUOTA_STORED_BYTES", "QUOTA_INPUTS"]


class CredentialPart(WireModel):
    """The key or token that was sent."""

    kind: CredentialKind
    id: str
    expires_at: Time | None = Field(None, description="absent if it does not expire")


class TierPart(WireModel):
    """What the order of the user's requests depends on."""

    name: str
    weight: int = Field(description="a user of twice the weight gets twice as many pictures of a queue")
    default_priority: Class = Field(description="that of requests that name none")
    highest_priority: Class = Field(description="the highest that requests may name")

    @classmethod
    def of(cls, tier: Tier) -> Self:
        return cls(
            name=tier.name,
            weight=tier.weight,
            default_priority=tier.default.word,
            highest_priority=tier.highest.word,
        )


class RatePart(WireModel):
    """The rate limit of submissions that leaves least. The answers to submissions have the same in their headers."""

    limit: int = Field(description="how many requests may be submitted at once")
    remaining: int = Field(description="how many may be submitted now")
    full_at: Time = Field(description="when all of them may be again, if none is submitted until then")


class QuotaPart(WireModel):
    """A quota of the user."""

    name: QuotaName = Field(description="of the setting that the operator chose")
    limit: int
    used: int = Field(description="counted up to `limit`, except for QUOTA_STORED_BYTES")
    remaining: int = Field(ge=0)

    @classmethod
    def of(cls, quota: Quota) -> Self:
        return cls(
            name=quota.name,  # type: ignore[arg-type]
            limit=quota.limit,
            used=quota.used,
            remaining=max(0, quota.limit - quota.used),
        )


class Me(WireModel):
    """Who the caller is, what it may do, and what is left of its limits."""

    user_id: str | None = Field(None, description="absent without a credential, and for the token of an extension")
    extension_id: str | None = Field(None, description="for the token of an extension")
    role: Role
    scopes: list[Scope] = Field(description="what the key or token may be used for; none are needed without one")
    operator: bool = Field(description="whether the caller may do what operators may")
    credential_required: bool = Field(description="whether every caller must send a key or token")
    credential: CredentialPart | None = Field(None, description="absent if none was sent")
    tier: TierPart | None = Field(None, description="absent for extensions")
    rate: RatePart | None = Field(None, description="absent where nothing limits it, or Redis cannot be asked")
    quotas: list[QuotaPart] = Field(description="those that are set")
    version: str = Field(description="of the service")
    timestamp: Time
