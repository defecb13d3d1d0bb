"""Why an object storage did not do what it was asked: for clients, and for operators with what they can do."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from boto3.exceptions import Boto3Error
from botocore import exceptions
from botocore.parsers import ResponseParserError

from app import logs
from app.adapters.store import StoreError
from app.storage_settings import S3Location

CREDENTIALS = {
    "AuthFailure",
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
}
OTHER_REGION = {"301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "PermanentRedirect"}
RIGHTS = {"403", "AccessDenied", "AccountProblem", "AllAccessDisabled"}
MISSING = {"404", "NoSuchKey"}
BUSY = {"429", "503", "RequestLimitExceeded", "ServiceUnavailable", "SlowDown", "Throttling", "ThrottlingException"}

log = logs.get(__name__)


class S3Error(StoreError):
    """The object storage failed. The text is for clients; `remedy` is for operators and may name the bucket.

    `lasting` is whether the same will happen again until somebody changes a setting.
    """

    def __init__(self, text: str, remedy: str, *, lasting: bool) -> None:
        super().__init__(text)
        self.remedy: str = remedy
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class Reason:
    """What happened, without names; what operators can do; whether it stays so until they did."""

    short: str
    remedy: str
    lasting: bool = True


@contextlib.contextmanager
def s3_errors(what: str, location: S3Location, *, logged: bool = True) -> Iterator[None]:
    """Turn every error of boto3 into an S3Error that begins with `what` failed, and log what operators can do."""
    try:
        yield
    except (exceptions.BotoCoreError, exceptions.ClientError, Boto3Error, ResponseParserError, RecursionError) as error:
        reason = reason_of(error, location)
        if logged:
            log.warning(what, action="storage.failed", problem=reason.remedy)
        raise S3Error(f"{what}: {reason.short}.", reason.remedy, lasting=reason.lasting) from error


def is_missing(error: exceptions.ClientError) -> bool:
    """True if there is no such object. A missing bucket is another error."""
    return code_of(error) in MISSING


def code_of(error: exceptions.ClientError) -> str:
    """S3's name of the error; the status where an answer has no body, as those to HEAD."""
    return str(error.response.get("Error", {}).get("Code", ""))


def reason_of(error: Exception, location: S3Location) -> Reason:
    """Why it happened."""
    cause = error.__cause__ or error.__context__
    if isinstance(error, Boto3Error) and isinstance(cause, exceptions.ClientError):
        error = cause
    if isinstance(error, exceptions.ClientError):
        return _answered(error, location)
    return _unanswered(error, location)


def _answered(error: exceptions.ClientError, location: S3Location) -> Reason:
    code = code_of(error)
    if code == "NoSuchBucket" or (code == "404" and error.operation_name == "HeadBucket"):
        return Reason(
            "its bucket does not exist", f"there is no bucket {location.bucket!r}: create it, or name another"
        )
    if code in CREDENTIALS:
        return Reason(
            "it refused the credentials",
            f"the credentials are refused ({code}): check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        )
    region = _region(error)
    if code in OTHER_REGION or (code == "400" and region):
        return Reason("its bucket is in another region", wrong_region(location, region))
    if code in RIGHTS:
        return Reason(
            "it refused access",
            f"access to {location.address} is refused: the credentials need s3:GetObject, s3:PutObject and s3:DeleteObject "
            f"there, and s3:ListBucket of the bucket {location.bucket!r}",
        )
    if code in BUSY:
        return Reason("it is overloaded", f"the storage is overloaded ({code})", lasting=False)
    remedy = f"the storage answered {error.operation_name} with {code or 'an error'}: check endpoint= and region="
    return Reason("it failed", remedy, lasting=False)


def _region(error: exceptions.ClientError) -> str | None:
    """Where the bucket is, if the answer tells."""
    response: dict[str, Any] = error.response
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = response.get("Error", {}).get("Region") or headers.get("x-amz-bucket-region")
    return None if region is None else str(region)


def wrong_region(location: S3Location, region: str | None) -> str:
    """What to do if the bucket is in this region, or in an unknown one, and not in the one that is set."""
    if region is None:
        return "the storage is elsewhere and does not say where: check endpoint= (https?) and region="
    return f"the bucket {location.bucket!r} is in another region: set region={region}"


def _unanswered(error: Exception, location: S3Location) -> Reason:
    where = location.endpoint or "the storage"
    if isinstance(error, RecursionError):  # boto3, redirected without a region, asks again and again where to go
        return Reason("its bucket is in another region", wrong_region(location, None))
    if isinstance(error, exceptions.NoCredentialsError | exceptions.PartialCredentialsError):
        return Reason(
            "there are no credentials for it",
            "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this host a role",
        )
    if isinstance(error, exceptions.NoRegionError):
        return Reason("its region is not set", "the region is missing: set region=")
    if isinstance(error, exceptions.SSLError):
        return Reason(
            "it cannot be reached", f"the certificate of {where} is not accepted: AWS_CA_BUNDLE names an authority"
        )
    if isinstance(error, exceptions.FlexibleChecksumError | exceptions.IncompleteReadError):
        return Reason(
            "it sent other bytes than it announced", f"{where} sent other bytes than it announced", lasting=False
        )
    if isinstance(error, exceptions.ConnectionError | exceptions.HTTPClientError):  # time-outs among them
        return Reason("it cannot be reached", f"{where} cannot be reached ({type(error).__name__})", lasting=False)
    return Reason("it failed", f"{where} cannot be used ({type(error).__name__})")
