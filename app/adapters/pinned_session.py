"""requests sessions for untrusted URLs: every connection is made to an address that was checked before."""

import ssl
from collections.abc import Mapping
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from app.adapters.addresses import AddressRules
from app.adapters.pinned_connection import Deadline, connect
from app.domain.urls import WebUrl


class PinnedSession(requests.Session):
    """Sends requests within one deadline, without proxies or credentials from the environment. Close it after use.

    It follows no redirects: the caller has to check their targets.
    """

    def __init__(self, rules: AddressRules, tls: ssl.SSLContext, deadline: Deadline) -> None:
        super().__init__()
        self.trust_env = False
        adapter = PinnedAdapter(rules, tls, deadline)
        self.mount("http://", adapter)
        self.mount("https://", adapter)

    def open(self, url: WebUrl, headers: Mapping[str, str]) -> requests.Response:
        """Send a GET and return the response with its body unread. Raises FetchError."""
        return self._send("GET", url, headers, None)

    def submit(self, url: WebUrl, headers: Mapping[str, str], body: bytes) -> requests.Response:
        """Send a POST and return the response with its body unread. Raises FetchError."""
        return self._send("POST", url, headers, body)

    def _send(self, method: str, url: WebUrl, headers: Mapping[str, str], body: bytes | None) -> requests.Response:
        request = requests.Request(method, str(url), headers=dict(headers), data=body).prepare()
        request.url = str(url)  # unchanged: `prepare` encodes it again, which would break a signature
        return self.send(request, stream=True, allow_redirects=False)

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Always None: otherwise requests reads the whole body of a redirect, even if it must not follow it."""
        return None


class PinnedAdapter(HTTPAdapter):
    """Sends each request over a new connection to one of the addresses that `rules` allow."""

    def __init__(self, rules: AddressRules, tls: ssl.SSLContext, deadline: Deadline) -> None:
        super().__init__()
        self._rules = rules
        self._tls = tls
        self._deadline = deadline
        self._connections: list[HTTPConnection] = []

    def send(self, request: requests.PreparedRequest, *_args: Any, **_options: Any) -> requests.Response:
        """Send and return the response with its body unread; the deadline replaces all time-outs. Raises FetchError, BadUrl."""
        url = WebUrl.parse(str(request.url))
        connection = connect(url, self._rules, self._tls, self._deadline)
        self._connections.append(connection)
        with self._deadline.translate_errors(url.host):
            connection.request(
                str(request.method),
                url.target,
                body=request.body,
                headers=request.headers,
                preload_content=False,
                decode_content=False,
            )
            return self.build_response(request, connection.getresponse())

    def close(self) -> None:
        while self._connections:
            self._connections.pop().close()
        super().close()
