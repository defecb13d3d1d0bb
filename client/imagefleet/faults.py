"""Faults of a connection as errors of this library."""

from __future__ import annotations

import errno
import os
import socket
import ssl
from urllib.parse import urlsplit

import httpx2

from imagefleet.errors import BadAnswer, ConnectionLost, ImagefleetError, TlsFailed, UnknownHost, Unreachable

_NOT_SENT = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ProxyError)
_NOT_UNDERSTOOD = (httpx2.UnsupportedProtocol, httpx2.InvalidURL, httpx2.SSEError)
# What OpenSSL reports where the first bytes of the answer are not TLS; it depends on the release.
_NO_TLS = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL"})
_TRY_HTTPS = " If it serves TLS, the address must begin with https://."


def translated(error: Exception, base_url: str, *, is_new: bool) -> ImagefleetError:
    """The error that a fault of httpx2, or of the socket below it, means for a caller.

    `is_new`: the server at this address has not answered yet, so the address may be wrong.
    """
    inner = _innermost(error)
    if isinstance(inner, socket.gaierror):
        return _unresolved(base_url, inner)
    if isinstance(inner, UnicodeError):
        return UnknownHost(f"There is no host named {urlsplit(base_url).hostname}.")
    if isinstance(inner, ssl.SSLCertVerificationError):
        why = f"it does not trust the server's certificate: {inner.verify_message.rstrip('.')}"
        return TlsFailed(f"This machine cannot connect to {base_url}: {why}. SSL_CERT_FILE names further authorities.")
    if isinstance(inner, ssl.SSLError) and inner.reason in _NO_TLS:
        return TlsFailed(f"{base_url} does not answer with TLS: the address may have to begin with http://.")
    if isinstance(error, _NOT_SENT):
        return Unreachable(f"Cannot connect to {base_url}: {_text(error, inner)}.")
    if isinstance(error, _NOT_UNDERSTOOD):
        return BadAnswer(f"{base_url} sent something unexpected: {_text(error, inner)}.")
    hint = _TRY_HTTPS if is_new and _may_serve_tls(base_url, error, inner) else ""
    return ConnectionLost(
        f"The connection to {base_url} broke before the response arrived: {_text(error, inner)}.{hint}"
    )


def _unresolved(base_url: str, inner: socket.gaierror) -> UnknownHost:
    host = urlsplit(base_url).hostname
    if inner.errno == socket.EAI_AGAIN:
        return UnknownHost(f"The host {host} cannot be looked up at the moment: no name server answers.")
    return UnknownHost(f"There is no host named {host}.")


def _may_serve_tls(base_url: str, error: Exception, inner: BaseException) -> bool:
    """True for the ends that a request without TLS finds at a port that expects it."""
    return base_url.startswith("http://") and isinstance(
        (error, inner)[isinstance(inner, OSError)], httpx2.RemoteProtocolError | ConnectionResetError
    )


def _innermost(error: BaseException) -> BaseException:
    """The first cause; the wrappers around it repeat addresses and object names. Some hold it as an argument only."""
    if isinstance(error, BaseExceptionGroup):
        return _innermost(error.exceptions[0])
    held = (argument for argument in error.args if isinstance(argument, BaseException))
    cause = error.__cause__ or next(held, None)
    return error if cause is None else _innermost(cause)


def _text(error: Exception, inner: BaseException) -> str:
    if isinstance(error, httpx2.TimeoutException):
        return "it timed out"
    if isinstance(inner, OSError) and inner.errno in errno.errorcode and not isinstance(inner, ssl.SSLError):
        return os.strerror(inner.errno or 0).lower()
    text = (isinstance(inner, OSError) and inner.strerror) or str(inner) or type(inner).__name__
    return text.splitlines()[0].rstrip(".").lower()
