"""Faults of a connection as errors of this library."""

from __future__ import annotations

import socket
import ssl
from http.client import BadStatusLine
from urllib.parse import urlsplit

from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    LocationParseError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
    ResponseError,
    SSLError,
)

from imagefleet.errors import BadAnswer, ConnectionLost, ImagefleetError, TlsFailed, UnknownHost, Unreachable

_NOT_SENT = (NewConnectionError, ConnectTimeoutError, SSLError, ProxyError, LocationParseError)
# What OpenSSL reports where the first bytes of the answer are not TLS; it depends on the release.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})
_TRY_HTTPS = " If it serves TLS, the address must begin with https://."


def translated(error: Exception, base_url: str, *, is_new: bool) -> ImagefleetError:
    """The error that a fault of urllib3, or of the socket below it, means for a caller.

    `is_new`: the server at this address has not answered yet, so the address may be wrong.
    """
    cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    inner = _innermost(cause)
    if isinstance(cause, NameResolutionError):
        return _unresolved(base_url, inner)
    if isinstance(inner, ssl.SSLCertVerificationError):
        why = f"it does not trust the server's certificate: {inner.verify_message.rstrip('.')}"
        return TlsFailed(f"This machine cannot connect to {base_url}: {why}. SSL_CERT_FILE names further authorities.")
    if isinstance(inner, ssl.SSLError) and inner.reason in _NO_TLS:
        return TlsFailed(f"{base_url} does not answer with TLS: the address may have to begin with http://.")
    if isinstance(cause, _NOT_SENT):
        return Unreachable(f"Cannot connect to {base_url}: {_text(inner)}.")
    if isinstance(cause, ResponseError):
        return BadAnswer(f"{base_url} redirects too often.")
    hint = _TRY_HTTPS if is_new and _may_serve_tls(base_url, inner) else ""
    return ConnectionLost(f"The connection to {base_url} broke before the response arrived: {_text(inner)}.{hint}")


def _unresolved(base_url: str, inner: BaseException) -> UnknownHost:
    host = urlsplit(base_url).hostname
    if isinstance(inner, socket.gaierror) and inner.errno == socket.EAI_AGAIN:
        return UnknownHost(f"The host {host} cannot be looked up at the moment: no name server answers.")
    return UnknownHost(f"There is no host named {host}.")


def _may_serve_tls(base_url: str, inner: BaseException) -> bool:
    """True for the ends that a request without TLS finds at a port that expects it."""
    return base_url.startswith("http://") and isinstance(inner, BadStatusLine | ConnectionResetError)


def _innermost(error: BaseException) -> BaseException:
    """The cause; the wrappers around it repeat addresses and object names. Some hold it as an argument only."""
    held = (argument for argument in error.args if isinstance(argument, BaseException))
    cause = error.__cause__ or next(held, None)
    return error if cause is None else _innermost(cause)


def _text(inner: BaseException) -> str:
    text = (isinstance(inner, OSError) and inner.strerror) or str(inner) or type(inner).__name__
    return text.rpartition(": ")[2].rstrip(".").lower() if isinstance(inner, HTTPError) else text.rstrip(".").lower()
