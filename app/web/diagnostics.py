"""Which links of the chain to a stored picture work, for operators."""

from pydantic import Field

from app.container import Services
from app.domain.access import Need
from app.domain.clock import wire_now
from app.domain.diagnosis import Finding, Link
from app.domain.errors import Forbidden
from app.domain.wire_types import Time, WireModel
from app.version import VERSION
from app.web.api import Api, ResponseSpec

TAG = "Service"


class LinkState(WireModel):
    """What was found out about a link."""

    number: int = Field(
        description="in the chain from a client to a stored picture; the missing ones are the client's own"
    )
    name: Link
    ok: bool
    checked: bool = Field(description="false if it depends on a link that is broken")
    detail: str = Field(description="what is wrong, or what was found")
    code: str | None = Field(None, description="what is wrong, for programs; absent if nothing is")
    remedy: str | None = Field(None, description="what an operator can do; absent if nothing is wrong")

    @classmethod
    def of(cls, finding: Finding) -> "LinkState":
        return cls(
            number=finding.link.number,
            name=finding.link,
            ok=finding.ok,
            checked=finding.checked,
            detail=finding.detail,
            code=finding.code,
            remedy=finding.remedy,
        )


class DiagnosticsReport(WireModel):
    """The links in their order."""

    ok: bool = Field(description="whether all of them work")
    links: list[LinkState]
    version: str = Field(description="of the service")
    timestamp: Time


def operations(api: Api, services: Services) -> None:
    """Declare the operations of this module."""

    @api.operation(
        "GET",
        "/api/diagnostics",
        tag=TAG,
        summary="Find out which part of the service does not work",
        need=Need.OPERATE,
        responses=(ResponseSpec("What was found, whether all is well or not", DiagnosticsReport),),
        refusals=(Forbidden,),
    )
    def get_diagnostics() -> DiagnosticsReport:
        """Whether the database, Redis, the workers, beat, the storage, the clocks, the extensions and the webhooks work, each with
        what is wrong and what to do. Something is written, read and deleted for it, once a second at most. What hangs is
        reported after 5 s."""
        findings = services.diagnostics.findings()
        return DiagnosticsReport(
            ok=all(each.ok for each in findings),
            links=[LinkState.of(each) for each in findings],
            version=VERSION,
            timestamp=wire_now(),
        )
